"""The nodes of a prompt and the links along which their results travel when the prompt runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.numbers import boolean
from worker.workflow.prompt import Node, Prompt, links

MOST_VISITED = 100
"""Maximum number of nodes between a node and the loader of its model. Keeps the time for any prompt linear."""


class LinkedOutput(NamedTuple):
    """The node and the output slot that an input is linked to."""

    node_id: str
    slot: int


class PromptGraph:
    """The nodes of a prompt with their links. Links to missing nodes, and those that a switch ignores, are left out."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.sources: dict[str, dict[str, LinkedOutput]] = {
            node_id: self._read(node) for node_id, node in prompt.items()
        }
        """The sources of the linked inputs of each node, by the name of the input."""

    def running(self, catalog: Catalog | None) -> list[str]:
        """Return the ids of the nodes that run, in the order of the prompt.

        With a catalog, these are the output nodes and all nodes that they need. Without one, every node that no other
        node uses counts as an output. If there is no output, all nodes run.
        """
        needed = set(self._outputs(catalog))
        waiting = list(needed)
        while waiting:
            for source, _ in self.sources[waiting.pop()].values():
                if source not in needed:
                    needed.add(source)
                    waiting.append(source)
        return [node_id for node_id in self.prompt if node_id in needed] if needed else list(self.prompt)

    def upstream(self, node_id: str, follows: Callable[[str], bool]) -> list[str]:
        """Return a node and those that it is linked to through inputs whose name satisfies `follows`, nearest first."""
        visited = {node_id}
        for current in (nodes := [node_id]):
            for name, (source, _) in self.sources[current].items():
                if source not in visited and len(nodes) < MOST_VISITED and follows(name):
                    visited.add(source)
                    nodes.append(source)
        return nodes

    def _outputs(self, catalog: Catalog | None) -> list[str]:
        """Return the ids of the output nodes."""
        if catalog is None:
            # All links count here, so that nodes behind the branch that a switch ignores are no outputs.
            used = {source for node in self.prompt.values() for _, source, _ in links(node)}
            return [node_id for node_id in self.prompt if node_id not in used]
        class_types = {node_id: node["class_type"] for node_id, node in self.prompt.items()}
        return [node_id for node_id, name in class_types.items() if name in catalog and catalog[name].output_node]

    def _read(self, node: Node) -> dict[str, LinkedOutput]:
        """Return the sources of a node that exist, without the branch that a switch does not select."""
        inputs = node["inputs"]
        sources = {name: LinkedOutput(source, slot) for name, source, slot in links(node) if source in self.prompt}
        if "on_true" in inputs and "on_false" in inputs:
            switch = boolean(self.prompt, node, "switch")
            if switch is not None:
                sources.pop("on_false" if switch else "on_true", None)
        return sources
