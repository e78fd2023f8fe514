"""The workflow without subgraphs: every node by its path (`12:34`), and what is linked into it after all detours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from worker.errors import CannotConvert, Detail
from worker.workflow.editor.editor_graph import (
    BYPASSED,
    INSIDE,
    MUTED,
    BrowserNode,
    Graph,
    Link,
    Slot,
    UiNode,
    Widget,
)
from worker.workflow.editor.javascript import as_text
from worker.workflow.editor.types import bypass_slot
from worker.workflow.json_value import Json

MOST_NODES = 10_000


@dataclass(frozen=True, slots=True)
class FlatNode:
    """One node of the flat graph; `host` is the instance of the subgraph that it stands in."""

    id: str
    node: UiNode
    graph: Graph
    host: FlatNode | None


@dataclass(frozen=True, slots=True)
class FlatSource:
    """An output that something is linked from."""

    id: str
    slot: int


Seen = set[tuple[str, str, int]]
Onward = tuple[FlatNode, Slot, str]
"""A slot that takes the place of an output, and the type that is wanted of it."""


class _Stale(Exception):
    """A link that leads nowhere; `field` is what an instance of a subgraph shows in its place."""

    def __init__(self, reason: str, field: Widget | None = None) -> None:
        super().__init__(reason)
        self.field = field


class FlatGraph:
    """All places by id. Subgraphs that are muted or bypassed in the workflow itself are not opened."""

    def __init__(self, root: Graph) -> None:
        self.places: dict[str, FlatNode] = {}
        self.warnings: list[Detail] = []
        self._named: dict[int, dict[tuple[str, str], list[UiNode]]] = {}
        """Nodes that set a name, by graph, class and name."""
        for node in root.nodes.values():
            place = self._add(node, root, None)
            if node.subgraph is not None and not node.silent:
                self._open(place)

    def source(self, place: FlatNode, slot: Slot) -> FlatSource | Widget | None:
        """What feeds a slot: an output, or a field that an instance of a subgraph shows; None if nothing does.

        A link that leads nowhere counts as none, with a warning. Raises CannotConvert for links in a circle.
        """
        try:
            return self._source(place, slot)
        except _Stale as stale:
            self.warnings.append(detail_of(place, f"{stale}: nothing is linked to its input {slot.name!r}", slot.name))
            return stale.field

    def _source(self, place: FlatNode, slot: Slot) -> FlatSource | Widget | None:
        seen: Seen = set()
        wanted = slot.type
        while True:
            self._step(seen, place, "in", id(slot))
            if slot.link is None:
                return None
            link = place.graph.links.get(slot.link)
            if link is None:
                raise _Stale(f"link {slot.link} of node {place.id} is not in the file", slot.promoted)
            if place.host and link.origin == INSIDE:
                place, slot = place.host, _host_slot(place, link)
                if slot.link is None:
                    return slot.promoted
                wanted = slot.type
                continue
            origin = place.graph.nodes.get(link.origin)
            if origin is None:
                raise _Stale(f"link {slot.link} comes from node {link.origin}, which is not in the file", slot.promoted)
            found = self._output(self._beside(place, origin), link.origin_slot, wanted, seen)
            if found is None or isinstance(found, FlatSource):
                return found
            place, slot, wanted = found

    def _output(self, place: FlatNode, number: int, wanted: str, seen: Seen) -> FlatSource | Onward | None:
        """The output itself, or the slot to look at instead, and the type that is wanted there."""
        while True:
            self._step(seen, place, "out", number)
            node = place.node
            if node.mode == MUTED:
                return None
            if node.mode == BYPASSED:
                return _bypassed(place, number, wanted)
            if node.subgraph is None:
                return self._handed_on(place, number, wanted) if node.browser else FlatSource(place.id, number)
            inner = _inner_link(node.subgraph, number)
            if inner is None:
                return None
            if inner[0] == INSIDE:
                return _onward(place, inner[1], wanted)
            if inner[0] not in node.subgraph.nodes:
                raise _Stale(f"output {number} of node {place.id} comes from node {inner[0]}, which is not in the file")
            place, number = self.places[f"{place.id}:{inner[0]}"], inner[1]

    def _handed_on(self, place: FlatNode, number: int, wanted: str) -> Onward | None:
        """Where a node that only the browser has leads: to its input, or to that of the node that set a name."""
        browser = place.node.browser
        if browser is None or not browser.gets_from:
            if browser and browser.refused:
                self._refuse(place, browser.refused)
            return _onward(place, number, wanted)
        setter = self._setter(place, browser)
        return _onward(setter, number, wanted) if setter else None

    def _setter(self, place: FlatNode, getter: BrowserNode) -> FlatNode | None:
        """The node that set the name that a node gets: in its own graph, or else the only one in those around it."""
        name, kind, around = _name(place.node), getter.gets_from, (place, *_hosts(place))
        levels = [[self._beside(one, node) for node in self._setters(one.graph, kind, name)] for one in around]
        own, found = levels[0], [setter for level in levels[: None if getter.enclosing else 1] for setter in level]
        if not found or (getter.strict and len(found) > 1):
            reason = f"{len(found) or 'no'} {kind} in its graph has the name {name!r}"
            if getter.strict:
                self._refuse(place, reason)
            place.node.warn(f"{reason}: nothing is linked in its place")
            return None
        if len(own) > 1:
            place.node.warn(f"{len(own)} {kind} have the name {name!r}: the first one counts, as in the editor")
        elif not own and (len(found) > 1 or _comes_from_outside(found[0])):
            reason = f"{len(found)} {kind} around it have the name {name!r}" if len(found) > 1 else "a subgraph's input"
            place.node.warn(f"what it gets is not certain ({reason}): nothing is linked in its place, as in the editor")
            return None
        return found[0]

    def _setters(self, graph: Graph, kind: str, name: Json) -> list[UiNode]:
        """The nodes of a graph that set a name, in the file's order. An empty name is none."""
        named = self._named.get(id(graph))
        if named is None:
            named = self._named[id(graph)] = {}
            for node in graph.nodes.values():
                if (found := _name(node)) not in (None, ""):
                    named.setdefault((node.type, as_text(found)), []).append(node)
        return [node for node in named.get((kind, as_text(name)), ()) if _name(node) == name]

    def _add(self, node: UiNode, graph: Graph, host: FlatNode | None) -> FlatNode:
        place = FlatNode(f"{host.id}:{node.id}" if host else node.id, node, graph, host)
        self.places[place.id] = place
        if len(self.places) > MOST_NODES:
            raise CannotConvert(f"the workflow's subgraphs unfold to more than {MOST_NODES} nodes")
        return place

    def _open(self, top: FlatNode) -> None:
        waiting = [top]
        while waiting:
            host = waiting.pop()
            if host.node.subgraph is None:
                continue
            if any(outer.node is host.node for outer in _hosts(host)):
                self._refuse(host, "its subgraph contains itself")
            for node in host.node.subgraph.nodes.values():
                place = self._add(node, host.node.subgraph, host)
                if node.subgraph is not None:
                    waiting.append(place)

    def _beside(self, place: FlatNode, node: UiNode) -> FlatNode:
        return self.places[f"{place.host.id}:{node.id}" if place.host else node.id]

    def _step(self, seen: Seen, place: FlatNode, way: str, number: int) -> None:
        step = (place.id, way, number)
        if step in seen:
            self._refuse(place, "its links go in a circle")
        seen.add(step)

    def _refuse(self, place: FlatNode, reason: str) -> NoReturn:
        raise refusal(place, reason)


def refusal(
    place: FlatNode, reason: str, input_name: str | None = None, suggestion: str | None = None
) -> CannotConvert:
    """An error that names the node."""
    detail = detail_of(place, reason, input_name, suggestion)
    return CannotConvert(f"node {place.id} ({detail.node_title}): {reason}", [detail])


def detail_of(place: FlatNode, reason: str, input_name: str | None = None, suggestion: str | None = None) -> Detail:
    node = place.node
    return Detail(reason, place.id, node.title or node.type, node.type, input_name, suggestion)


def _hosts(place: FlatNode) -> Iterator[FlatNode]:
    while place.host is not None:
        place = place.host
        yield place


def _host_slot(place: FlatNode, link: Link) -> Slot:
    """The slot of the instance around a node that its link comes from."""
    slots = place.host.node.inputs if place.host else []
    if not 0 <= link.origin_slot < len(slots):
        raise _Stale(f"link {link.id} comes from input {link.origin_slot} of a subgraph that has {len(slots)}")
    return slots[link.origin_slot]


def _bypassed(place: FlatNode, number: int, wanted: str) -> Onward | None:
    index = bypass_slot(place.node, number, wanted)
    return None if index is None else (place, place.node.inputs[index], place.node.inputs[index].type)


def _name(node: UiNode) -> Json:
    """The value of a node's first field."""
    values = node.values
    if isinstance(values, dict):
        return values.get("0")
    return values[0] if isinstance(values, list) and values else None


def _comes_from_outside(setter: FlatNode) -> bool:
    """Whether what a node sets is an input of the subgraph that it stands in."""
    slot = setter.node.inputs[0] if setter.node.inputs else None
    link = setter.graph.links.get(slot.link) if slot and slot.link is not None else None
    return link is not None and link.origin == INSIDE


def _onward(place: FlatNode, number: int, wanted: str) -> Onward | None:
    slots = place.node.inputs
    return (place, slots[number], wanted) if 0 <= number < len(slots) else None


def _inner_link(graph: Graph, number: int) -> tuple[str, int] | None:
    """The first link inside that ends in this output of a subgraph."""
    links = graph.outputs[number].links if 0 <= number < len(graph.outputs) else []
    link = next((graph.links[link_id] for link_id in links if link_id in graph.links), None)
    return (link.origin, link.origin_slot) if link else None
