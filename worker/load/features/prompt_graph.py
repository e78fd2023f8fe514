"""The nodes of a prompt and the links along which their results travel when the prompt runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.numbers import boolean
from worker.workflow.prompt import Node, Prompt, links

MOST_VISITED = 100
"""Maximum number of nodes between a node and the loader of its model. Keeps the time for any prompt linear."""


class Source(NamedTuple):
    """A linked input: its name, and the node and the output slot that it is linked to."""

    name: str
    node_id: str
    slot: int


class PromptGraph:
    """The nodes of a prompt with their links. Links to missing nodes, and those that a switch ignores, are left out."""

    def __init__(self, prompt: Prompt) -> None:
        self.prompt = prompt
        self.sources: dict[str, list[Source]] = {node_id: self._read(node) for node_id, node in prompt.items()}
        """The linked inputs of each node."""

    def running(self, catalog: Catalog | None) -> list[str]:
        """Return the ids of the nodes that run, in the order of the prompt.

        With a catalog, these are the output nodes and all nodes that they need. Without one, every node that no other
        node uses counts as an output. If there is no output, all nodes run.
        """
        outputs = self._outputs(catalog)
        needed = set(outputs)
        waiting = list(outputs)
        while waiting:
            for source in self.sources[waiting.pop()]:
                if source.node_id not in needed:
                    needed.add(source.node_id)
                    waiting.append(source.node_id)
        return [node_id for node_id in self.prompt if node_id in needed] if needed else list(self.prompt)

    def upstream(self, node_id: str, follows: Callable[[str], bool]) -> list[str]:
        """Return a node and those that it is linked to through inputs whose name satisfies `follows`, nearest first."""
        visited = {node_id: None}
        for current in (found := [node_id]):
            for name, source, _ in self.sources[current]:
                if source not in visited and len(visited) < MOST_VISITED and follows(name):
                    visited[source] = None
                    found.append(source)
        return found

    def _outputs(self, catalog: Catalog | None) -> list[str]:
        """Return the ids of the output nodes."""
        if catalog is None:
            used = {source for node in self.prompt.values() for _, source, _ in links(node)}
            return [node_id for node_id in self.prompt if node_id not in used]
        return [
            node_id
            for node_id, node in self.prompt.items()
            if node["class_type"] in catalog and catalog[node["class_type"]].output_node
        ]

    def _read(self, node: Node) -> list[Source]:
        """Return the linked inputs of a node whose source exists, without the branch that a switch does not select."""
        sources = [Source(*link) for link in links(node) if link[1] in self.prompt]
        if "on_true" in node["inputs"] and "on_false" in node["inputs"]:
            switch = boolean(self.prompt, node, "switch")
            if switch is not None:
                ignored = "on_false" if switch else "on_true"
                return [source for source in sources if source.name != ignored]
        return sources
