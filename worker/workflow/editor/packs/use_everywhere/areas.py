"""Which nodes stand in a group, and which have a colour: what a sender may be restricted to."""

from __future__ import annotations

from collections.abc import Iterator

from worker.workflow.editor.live import Graph, UiNode
from worker.workflow.editor.packs.use_everywhere.filters import NameFilter
from worker.workflow.json_value import Json, JsonObject

_TITLE = 30.0
_COLLAPSED = 80.0


def restricted_to(
    node: UiNode, graph: Graph, root: Graph, settings: JsonObject, groups: NameFilter | None
) -> frozenset[str] | None:
    """Return the ids of the nodes that may receive what a node sends; None for all."""
    allowed: frozenset[str] | None = None
    everywhere = frozenset(graph.nodes)
    match _choice(settings.get("group_restricted")):
        case 1:
            allowed = _in_groups_of(node, graph)
        case 2:
            allowed = everywhere - _in_groups_of(node, graph)
    color = _choice(settings.get("color_restricted"))
    if color:
        mine = _color(node) if color == 1 or graph is root else None
        same = color == 1
        allowed = frozenset(
            name for name in (everywhere if allowed is None else allowed) if (_color(graph.nodes[name]) == mine) is same
        )
    if groups is not None:
        named = frozenset(name for title, names in _groups(root) if groups.takes(title) for name in names)
        allowed = named if allowed is None else named & allowed
    return allowed


def _choice(value: Json) -> int:
    """0 for none, 1 for only these, 2 for only others; old files have true."""
    return int(value) if isinstance(value, int) and value in (1, 2) else 0


def _in_groups_of(node: UiNode, graph: Graph) -> frozenset[str]:
    return frozenset(name for _, names in _groups(graph) if node.id in names for name in names)


def _groups(graph: Graph) -> Iterator[tuple[str, frozenset[str]]]:
    """Title and nodes of each group: those whose middle lies in it."""
    groups = graph.written.get("groups")
    for group in groups if isinstance(groups, list) else []:
        if not isinstance(group, dict):
            continue
        x, y, width, height = _numbers(group.get("bounding"), 4)
        inside = frozenset(
            name
            for name, (across, down) in ((node.id, _middle(node)) for node in graph.nodes.values())
            if x < across < x + width and y < down < y + height
        )
        title = group.get("title")
        yield title if isinstance(title, str) else "", inside


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
