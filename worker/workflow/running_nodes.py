"""Determines which nodes of a prompt run."""

from __future__ import annotations

from collections.abc import Collection

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt, ancestors, links


def running_nodes(prompt: Prompt, catalog: Catalog) -> list[str]:
    """Return the ids of the output nodes and of all nodes that they depend on, in the order of the prompt.

    Return all ids if the prompt has no output node. A node of an unknown class counts as an output if no other node
    uses it.
    """
    used = {source for node in prompt.values() for _, source, _ in links(node)}
    outputs = [node_id for node_id in prompt if _is_output(node_id, prompt, catalog, used)]
    needed = {*outputs, *ancestors(prompt, *outputs)}
    return [node_id for node_id in prompt if node_id in needed] if needed else list(prompt)


def _is_output(node_id: str, prompt: Prompt, catalog: Catalog, used: Collection[str]) -> bool:
    """Return whether a node is an output. `used` are the nodes that other nodes are linked to."""
    class_type = prompt[node_id]["class_type"]
    return catalog[class_type].output_node if class_type in catalog else node_id not in used
