"""The node functions by class: an implementation where there is one, and the simulation for all other classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from worker.simulators.comfyui.classes.values import Value
from worker.simulators.comfyui.execution.node_call import NodeFunction
from worker.simulators.comfyui.folders import ComfyFolders
from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.prompt import Node

Fingerprint = Callable[[Mapping[str, object], ComfyFolders], str]
"""Returns a text that changes when something changes that a node reads besides its inputs (ComfyUI's `IS_CHANGED`)."""

LazyInputs = Callable[[Mapping[str, Sequence[Value]]], Sequence[str]]
"""Returns the lazy inputs that a node needs, given its other inputs (ComfyUI's `check_lazy_status`)."""


@dataclass(frozen=True, slots=True)
class NodeRegistry:
    """Node functions by class name. `fallback` returns a function for any class that `nodes` does not have."""

    nodes: Mapping[str, NodeFunction]
    fingerprints: Mapping[str, Fingerprint]
    lazy: Mapping[str, LazyInputs]
    fallback: Callable[[NodeClass], NodeFunction]

    def node(self, node_class: NodeClass) -> NodeFunction:
        """Return the function for a class."""
        return self.nodes.get(node_class.name) or self.fallback(node_class)

    def fingerprint(self, node: Node, folders: ComfyFolders) -> str | None:
        """Return a text that changes when the node must run again, or None for a class that reads only its inputs."""
        fingerprint = self.fingerprints.get(node["class_type"])
        return None if fingerprint is None else fingerprint(node.get("inputs", {}), folders)

    def needed_lazy_inputs(self, class_type: str, inputs: Mapping[str, Sequence[Value]]) -> Sequence[str]:
        """Return the names of the lazy inputs that a node needs. Classes without lazy inputs need none."""
        lazy_inputs = self.lazy.get(class_type)
        return () if lazy_inputs is None else lazy_inputs(inputs)
