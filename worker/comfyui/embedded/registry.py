"""Which function stands for a node class: a real one where there is one, the simulation for the rest."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from worker.comfyui.embedded.calling import Node
from worker.comfyui.embedded.folders import Folders
from worker.graph.node_class import NodeClass
from worker.graph.prompt import Node as PromptNode

Change = Callable[[Mapping[str, object], Folders], str]
"""What a node reads besides its inputs, as a text that differs when it does."""


class Registry:
    """Node functions by class name; `fallback` makes one for any other class."""

    def __init__(
        self, nodes: Mapping[str, Node], changes: Mapping[str, Change], fallback: Callable[[NodeClass], Node]
    ) -> None:
        self._nodes = nodes
        self._changes = changes
        self._fallback = fallback

    def node(self, node_class: NodeClass) -> Node:
        return self._nodes.get(node_class.name) or self._fallback(node_class)

    def change(self, node: PromptNode, folders: Folders) -> str | None:
        change = self._changes.get(node["class_type"])
        return None if change is None else change(node.get("inputs", {}), folders)
