"""Which function stands for a node class: a real one where there is one, the simulation for the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from worker.simulators.comfyui.classes.values import Value
from worker.simulators.comfyui.execution.node_call import NodeFunction
from worker.simulators.comfyui.folders import ComfyFolders
from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.prompt import Node

Fingerprint = Callable[[Mapping[str, object], ComfyFolders], str]
"""What a node reads besides its inputs, as a text that differs when it does."""

LazyInputs = Callable[[Mapping[str, Sequence[Value]]], Sequence[str]]
"""Which lazy inputs a node needs, given the others: their sources run only then."""


@dataclass(frozen=True, slots=True)
class NodeRegistry:
    """Node functions by class name; `fallback` makes one for any other class."""

    nodes: Mapping[str, NodeFunction]
    changes: Mapping[str, Fingerprint]
    lazy: Mapping[str, LazyInputs]
    fallback: Callable[[NodeClass], NodeFunction]

    def node(self, node_class: NodeClass) -> NodeFunction:
        return self.nodes.get(node_class.name) or self.fallback(node_class)

    def fingerprint(self, node: Node, folders: ComfyFolders) -> str | None:
        change = self.changes.get(node["class_type"])
        return None if change is None else change(node.get("inputs", {}), folders)

    def needed_lazy_inputs(self, class_type: str, inputs: Mapping[str, Sequence[Value]]) -> Sequence[str]:
        """The lazy inputs that a node needs; none for classes that aren't lazy."""
        wanted = self.lazy.get(class_type)
        return () if wanted is None else wanted(inputs)
