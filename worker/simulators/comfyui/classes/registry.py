"""Which function stands for a node class: a real one where there is one, the simulation for the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from worker.simulators.comfyui.classes.values import Value
from worker.simulators.comfyui.execution.calling import Node
from worker.simulators.comfyui.folders import ComfyFolders
from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.prompt import Node as PromptNode

Change = Callable[[Mapping[str, object], ComfyFolders], str]
"""What a node reads besides its inputs, as a text that differs when it does."""

Wanted = Callable[[Mapping[str, Sequence[Value]]], Sequence[str]]
"""Which lazy inputs a node needs, given the others: their sources run only then."""


@dataclass(frozen=True, slots=True)
class NodeRegistry:
    """Node functions by class name; `fallback` makes one for any other class."""

    nodes: Mapping[str, Node]
    changes: Mapping[str, Change]
    lazy: Mapping[str, Wanted]
    fallback: Callable[[NodeClass], Node]

    def node(self, node_class: NodeClass) -> Node:
        return self.nodes.get(node_class.name) or self.fallback(node_class)

    def change(self, node: PromptNode, folders: ComfyFolders) -> str | None:
        change = self.changes.get(node["class_type"])
        return None if change is None else change(node.get("inputs", {}), folders)

    def wanted(self, class_type: str, inputs: Mapping[str, Sequence[Value]]) -> Sequence[str]:
        """The lazy inputs that a node needs; none for classes that aren't lazy."""
        wanted = self.lazy.get(class_type)
        return () if wanted is None else wanted(inputs)
