"""One node of the workflow without subgraphs, and the errors that name it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from worker.errors import CannotConvert, Detail
from worker.workflow.editor.editor_graph import Graph, UiNode


@dataclass(frozen=True, slots=True)
class FlatNode:
    """One node of the flat graph. `host` is the subgraph instance that contains it, or None in the workflow itself."""

    id: str
    node: UiNode
    graph: Graph
    host: FlatNode | None

    def hosts(self) -> Iterator[FlatNode]:
        """Yield the subgraph instances that contain the node, innermost first."""
        host = self.host
        while host is not None:
            yield host
            host = host.host


def conversion_error(
    flat_node: FlatNode, reason: str, input_name: str | None = None, suggestion: str | None = None
) -> CannotConvert:
    """Return an error that names a node and, if there is one, its input."""
    detail = node_detail(flat_node, reason, input_name, suggestion)
    return CannotConvert(f"node {flat_node.id} ({detail.node_title}): {reason}", [detail])


def node_detail(
    flat_node: FlatNode, reason: str, input_name: str | None = None, suggestion: str | None = None
) -> Detail:
    """Return a remark about a node, for errors and warnings that the client receives."""
    node = flat_node.node
    return Detail(reason, flat_node.id, node.title or node.type, node.type, input_name, suggestion)
