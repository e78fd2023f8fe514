"""Groups and colors of nodes, by which a sender may be restricted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.workflow.editor.editor_graph import Graph, UiNode
from worker.workflow.editor.packs.use_everywhere.filters import FilterBudget, NameFilter
from worker.workflow.json_value import Json, JsonObject

_TITLE_HEIGHT = 30.0
_COLLAPSED_WIDTH = 80.0
NAMES_PER_COMPARISON = 16
"""Names that can be put into a set in the time of one comparison."""


@dataclass(frozen=True, slots=True)
class NodeGroup:
    """A group that the user drew: its title, and the ids of the nodes whose center lies in it."""

    title: str
    node_ids: frozenset[str]


class NodeGroups:
    """The groups in all graphs of one workflow, computed once for each graph."""

    def __init__(self, root: Graph, budget: FilterBudget) -> None:
        self.root = root
        self._budget = budget
        self._groups_by_graph: dict[int, list[NodeGroup]] = {}

    def of_graph(self, graph: Graph) -> list[NodeGroup]:
        """Return the groups of a graph. Raises CannotConvert if there are too many groups and nodes to compare."""
        if id(graph) not in self._groups_by_graph:
            saved_groups = graph.raw.get("groups")
            rows = saved_groups if isinstance(saved_groups, list) else []
            raw_groups = [row for row in rows if isinstance(row, dict)]
            self._budget.spend_comparisons(len(raw_groups) * len(graph.nodes))
            centers = [(node.id, *_center(node)) for node in graph.nodes.values()] if raw_groups else []
            self._groups_by_graph[id(graph)] = [_read_group(group, centers) for group in raw_groups]
        return self._groups_by_graph[id(graph)]

    def neighbors(self, node: UiNode, graph: Graph) -> frozenset[str]:
        """Return the ids of the nodes that share a group with this one, and its own if it is in a group.

        Raises CannotConvert if there are too many groups and nodes to compare.
        """
        own_groups = [group.node_ids for group in self.of_graph(graph) if node.id in group.node_ids]
        self._budget.spend_comparisons(sum(map(len, own_groups)) // NAMES_PER_COMPARISON)
        return frozenset().union(*own_groups)


def allowed_nodes(
    node: UiNode, graph: Graph, groups: NodeGroups, settings: JsonObject, group_filter: NameFilter | None
) -> frozenset[str] | None:
    """Return the ids of the nodes that may receive the values which a node sends, or None if all may.

    The settings may restrict them to the nodes of the same groups or color, or to all others. `group_filter` accepts
    the titles of groups. Raises CannotConvert if there are too many groups and nodes to compare.
    """
    allowed: frozenset[str] | None = None
    all_ids = frozenset(graph.nodes)
    match _restriction(settings.get("group_restricted")):
        case 1:
            allowed = groups.neighbors(node, graph)
        case 2:
            allowed = all_ids - groups.neighbors(node, graph)
    color_restriction = _restriction(settings.get("color_restricted"))
    if color_restriction:
        must_match = color_restriction == 1
        # A sender inside a subgraph counts as uncolored if the others must have another color.
        own_color = _color(node) if must_match or graph is groups.root else None
        candidates = all_ids if allowed is None else allowed
        allowed = frozenset(
            node_id for node_id in candidates if (_color(graph.nodes[node_id]) == own_color) is must_match
        )
    if group_filter is not None:
        matching = [group for group in groups.of_graph(groups.root) if group_filter.accepts(group.title)]
        members = frozenset(node_id for group in matching for node_id in group.node_ids)
        allowed = members if allowed is None else members & allowed
    return allowed


def _restriction(value: Json) -> int:
    """Return the meaning of a setting: 0 for no restriction, 1 for only matching nodes, 2 for only other nodes.

    Old files have `true` for 1.
    """
    return int(value) if isinstance(value, int) and value in (1, 2) else 0


def _read_group(raw: JsonObject, centers: Sequence[tuple[str, float, float]]) -> NodeGroup:
    """Return a group of the file. Its members are the nodes whose center lies in its box. `centers` are (id, x, y)."""
    left, top, width, height = _numbers(raw.get("bounding"), 4)
    members = frozenset(name for name, x, y in centers if left < x < left + width and top < y < top + height)
    title = raw.get("title")
    return NodeGroup(title if isinstance(title, str) else "", members)


def _center(node: UiNode) -> tuple[float, float]:
    """Return the center (x, y) of a node in the editor's pixels, with its title bar above its position.

    A collapsed node has a fixed width and no height.
    """
    left, top = _numbers(node.raw.get("pos"), 2)
    width, height = _numbers(node.raw.get("size"), 2)
    flags = node.raw.get("flags")
    if isinstance(flags, dict) and flags.get("collapsed"):
        width, height = _COLLAPSED_WIDTH, 0.0
    return left + width / 2, top - _TITLE_HEIGHT + (height + _TITLE_HEIGHT) / 2


def _numbers(raw: Json, count: int) -> list[float]:
    """Return `count` numbers from a list, or from an object with the keys "0", "1", ... that some editors wrote.

    Missing and invalid numbers become 0.
    """
    if isinstance(raw, dict):
        raw = [raw.get(str(index)) for index in range(count)]
    values = raw[:count] if isinstance(raw, list) else []
    numbers = [float(value) if isinstance(value, int | float) and abs(value) < 1e15 else 0.0 for value in values]
    return [*numbers, *[0.0] * (count - len(numbers))]


def _color(node: UiNode) -> Json:
    """Return the color that the user gave a node."""
    return node.raw.get("color")
