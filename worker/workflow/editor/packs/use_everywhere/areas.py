"""Which nodes stand in a group, and which have a colour: what a sender may be restricted to."""

from __future__ import annotations

from collections.abc import Sequence

from worker.workflow.editor.editor_graph import Graph, UiNode
from worker.workflow.editor.packs.use_everywhere.filters import Budget, NameFilter
from worker.workflow.json_value import Json, JsonObject

_TITLE = 30.0
_COLLAPSED = 80.0
NAMES_AT_ONCE = 16
"""Names that are put into a set in the time of one comparison."""


class Areas:
    """The groups of the graphs of one workflow. Where each node stands is found once a graph."""

    def __init__(self, root: Graph, budget: Budget) -> None:
        self.root = root
        self._budget = budget
        self._found: dict[int, list[tuple[str, frozenset[str]]]] = {}

    def groups(self, graph: Graph) -> list[tuple[str, frozenset[str]]]:
        """Return title and nodes of each group: those whose middle lies in it. Raises CannotConvert for too many."""
        found = self._found.get(id(graph))
        if found is None:
            written = graph.written.get("groups")
            listed = [group for group in written if isinstance(group, dict)] if isinstance(written, list) else []
            self._budget.compare(len(listed) * len(graph.nodes))
            middles = [(node.id, *_middle(node)) for node in graph.nodes.values()] if listed else []
            found = self._found[id(graph)] = [_nodes_in(group, middles) for group in listed]
        return found

    def around(self, node: UiNode, graph: Graph) -> frozenset[str]:
        """Return the nodes that stand in a group with this one."""
        mine = [names for _, names in self.groups(graph) if node.id in names]
        self._budget.compare(sum(map(len, mine)) // NAMES_AT_ONCE)
        return frozenset().union(*mine)


def restricted_to(
    node: UiNode, graph: Graph, areas: Areas, settings: JsonObject, groups: NameFilter | None
) -> frozenset[str] | None:
    """Return the ids of the nodes that may receive what a node sends; None for all."""
    allowed: frozenset[str] | None = None
    everywhere = frozenset(graph.nodes)
    match _choice(settings.get("group_restricted")):
        case 1:
            allowed = areas.around(node, graph)
        case 2:
            allowed = everywhere - areas.around(node, graph)
    color = _choice(settings.get("color_restricted"))
    if color:
        mine = _color(node) if color == 1 or graph is areas.root else None
        same = color == 1
        allowed = frozenset(
            name for name in (everywhere if allowed is None else allowed) if (_color(graph.nodes[name]) == mine) is same
        )
    if groups is not None:
        named = frozenset(name for title, names in areas.groups(areas.root) if groups.takes(title) for name in names)
        allowed = named if allowed is None else named & allowed
    return allowed


def _choice(value: Json) -> int:
    """0 for none, 1 for only these, 2 for only others; old files have true."""
    return int(value) if isinstance(value, int) and value in (1, 2) else 0


def _nodes_in(group: JsonObject, middles: Sequence[tuple[str, float, float]]) -> tuple[str, frozenset[str]]:
    x, y, width, height = _numbers(group.get("bounding"), 4)
    inside = frozenset(name for name, across, down in middles if x < across < x + width and y < down < y + height)
    title = group.get("title")
    return title if isinstance(title, str) else "", inside


def _middle(node: UiNode) -> tuple[float, float]:
    left, top = _numbers(node.written.get("pos"), 2)
    width, height = _numbers(node.written.get("size"), 2)
    flags = node.written.get("flags")
    if isinstance(flags, dict) and flags.get("collapsed"):
        width, height = _COLLAPSED, 0.0
    return left + width / 2, top - _TITLE + (height + _TITLE) / 2


def _numbers(written: Json, count: int) -> list[float]:
    """Numbers as a list, or as an object with "0", "1", ..., as some editors wrote them."""
    if isinstance(written, dict):
        written = [written.get(str(place)) for place in range(count)]
    found = written[:count] if isinstance(written, list) else []
    numbers = [float(one) if isinstance(one, int | float) and abs(one) < 1e15 else 0.0 for one in found]
    return [*numbers, *[0.0] * (count - len(numbers))]


def _color(node: UiNode) -> Json:
    return node.written.get("color")
