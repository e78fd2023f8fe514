"""Leaves out the inputs of nodes that ComfyUI ignores, so that they cannot make a node look like an expensive one."""

from __future__ import annotations

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.dynamic_inputs import expand
from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.prompt import Node, Prompt


def with_declared_inputs(prompt: Prompt, catalog: Catalog | None) -> Prompt:
    """Return the prompt without values for inputs that the class of a node does not have.

    ComfyUI drops them without an error. Links stay, because it follows all of them. Without a catalog, and for unknown
    classes, everything stays. If nothing is left out, the prompt itself is returned.
    """
    if catalog is None:
        return prompt
    changed = {
        node_id: _declared(node, catalog[node["class_type"]])
        for node_id, node in prompt.items()
        if node["class_type"] in catalog
    }
    changed = {node_id: node for node_id, node in changed.items() if node is not prompt[node_id]}
    return {**prompt, **changed} if changed else prompt


def _declared(node: Node, node_class: NodeClass) -> Node:
    """Return a node with the inputs of its class and all links, or the node itself if it has no other inputs."""
    inputs = node["inputs"]
    names = node_class.static_inputs
    if names is None:
        names = expand(node_class, inputs)
    kept = {name: value for name, value in inputs.items() if name in names or isinstance(value, list)}
    return node if len(kept) == len(inputs) else {**node, "inputs": kept}
