"""The workflow without subgraphs: all nodes by path (`12:34`), and the real source of each of their inputs."""

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
from worker.workflow.editor.javascript import to_js_string
from worker.workflow.editor.slot_types import bypass_input
from worker.workflow.json_value import Json

MAX_NODES = 10_000


@dataclass(frozen=True, slots=True)
class FlatNode:
    """One node of the flat graph. `host` is the subgraph instance that contains it, or None in the workflow itself."""

    id: str
    node: UiNode
    graph: Graph
    host: FlatNode | None


@dataclass(frozen=True, slots=True)
class FlatSource:
    """An output that feeds an input."""

    id: str
    slot: int


Visited = set[tuple[str, str, int]]
"""Inputs and outputs that the search for a source has passed, by node path, side and number."""
NextSlot = tuple[FlatNode, Slot, str]
"""The input that stands for an output, with its node and the type that the target needs."""


class _BrokenLink(Exception):
    """A link without a source. `field` is the field that a subgraph instance shows in its flat_node."""

    def __init__(self, reason: str, field: Widget | None = None) -> None:
        super().__init__(reason)
        self.field = field


class FlatGraph:
    """All nodes by path. Subgraphs that are muted or bypassed in the workflow itself are not expanded.

    Raises CannotConvert if a subgraph contains itself, or if there are too many nodes.
    """

    def __init__(self, root: Graph) -> None:
        self.nodes: dict[str, FlatNode] = {}
        self.warnings: list[Detail] = []
        self._named_nodes: dict[int, dict[tuple[str, str], list[UiNode]]] = {}
        """Nodes by the id() of their graph, then by class and the name that they set."""
        for node in root.nodes.values():
            flat_node = self._add(node, root, None)
            if node.subgraph is not None and not node.is_disabled:
                self._expand(flat_node)

    def source_of(self, flat_node: FlatNode, slot: Slot) -> FlatSource | Widget | None:
        """Return the output that feeds a slot, the field that a subgraph instance shows there, or None.

        A broken link counts as no link and adds a warning. Raises CannotConvert when links form a cycle.
        """
        try:
            return self._follow(flat_node, slot)
        except _BrokenLink as broken:
            self.warnings.append(
                node_detail(flat_node, f"{broken}: nothing is linked to its input {slot.name!r}", slot.name)
            )
            return broken.field

    def _follow(self, flat_node: FlatNode, slot: Slot) -> FlatSource | Widget | None:
        """Follow the links from a slot to its source, through subgraphs, bypassed nodes and browser nodes."""
        visited: Visited = set()
        target_type = slot.type
        while True:
            self._step(visited, flat_node, "in", id(slot))
            if slot.link is None:
                return None
            link = flat_node.graph.links.get(slot.link)
            if link is None:
                raise _BrokenLink(f"link {slot.link} of node {flat_node.id} is not in the file", slot.promoted)
            if flat_node.host and link.origin == INSIDE:
                flat_node, slot = flat_node.host, _host_slot(flat_node, link)
                if slot.link is None:
                    return slot.promoted
                target_type = slot.type
                continue
            origin = flat_node.graph.nodes.get(link.origin)
            if origin is None:
                raise _BrokenLink(
                    f"link {slot.link} comes from node {link.origin}, which is not in the file", slot.promoted
                )
            source = self._resolve_output(self._sibling(flat_node, origin), link.origin_slot, target_type, visited)
            if source is None or isinstance(source, FlatSource):
                return source
            flat_node, slot, target_type = source

    def _resolve_output(
        self, flat_node: FlatNode, number: int, target_type: str, visited: Visited
    ) -> FlatSource | NextSlot | None:
        """Return an output if its node is in the prompt, else the input that stands for it, else None."""
        while True:
            self._step(visited, flat_node, "out", number)
            node = flat_node.node
            if node.mode == MUTED:
                return None
            if node.mode == BYPASSED:
                return _bypassed(flat_node, number, target_type)
            if node.subgraph is None:
                return (
                    self._through_browser_node(flat_node, number, target_type)
                    if node.browser
                    else FlatSource(flat_node.id, number)
                )
            inner = _inner_link(node.subgraph, number)
            if inner is None:
                return None
            if inner[0] == INSIDE:
                return _next_slot(flat_node, inner[1], target_type)
            if inner[0] not in node.subgraph.nodes:
                raise _BrokenLink(
                    f"output {number} of node {flat_node.id} comes from node {inner[0]}, which is not in the file"
                )
            flat_node, number = self.nodes[f"{flat_node.id}:{inner[0]}"], inner[1]

    def _through_browser_node(self, flat_node: FlatNode, number: int, target_type: str) -> NextSlot | None:
        """Return the input that a browser node passes on: its own, or that of the node that sets the name it reads."""
        browser = flat_node.node.browser
        if browser is None or not browser.gets_from:
            if browser and browser.refused:
                self._refuse(flat_node, browser.refused)
            return _next_slot(flat_node, number, target_type)
        setter = self._setter(flat_node, browser)
        return _next_slot(setter, number, target_type) if setter else None

    def _setter(self, flat_node: FlatNode, getter: BrowserNode) -> FlatNode | None:
        """Return the node that sets the name which a node reads, or None with a warning.

        The first such node of its own graph counts, or else the only one in the enclosing graphs.
        """
        name, kind = _first_value(flat_node.node), getter.gets_from
        levels = [
            [self._sibling(level, node) for node in self._setters(level.graph, kind, name)]
            for level in (flat_node, *_hosts(flat_node))
        ]
        own = levels[0]
        setters = [setter for level in levels for setter in level] if getter.enclosing else own
        if not setters or (getter.strict and len(setters) > 1):
            reason = f"{len(setters) or 'no'} {kind} in its graph has the name {name!r}"
            if getter.strict:
                self._refuse(flat_node, reason)
            flat_node.node.warn(f"{reason}: nothing is linked in its place")
            return None
        if len(own) > 1:
            flat_node.node.warn(f"{len(own)} {kind} have the name {name!r}: the first one counts, as in the editor")
        elif not own and (len(setters) > 1 or _is_fed_from_outside(setters[0])):
            many = f"{len(setters)} {kind} in the enclosing graphs have the name {name!r}"
            reason = many if len(setters) > 1 else "it comes from an input of a subgraph"
            flat_node.node.warn(f"its source is ambiguous ({reason}): nothing is linked in its place, as in the editor")
            return None
        return setters[0]

    def _setters(self, graph: Graph, kind: str, name: Json) -> list[UiNode]:
        """Return the nodes of a graph that set a name, in the file's order. An empty name matches none."""
        named = self._named_nodes.get(id(graph))
        if named is None:
            named = self._named_nodes[id(graph)] = {}
            for node in graph.nodes.values():
                if (value := _first_value(node)) not in (None, ""):
                    named.setdefault((node.type, to_js_string(value)), []).append(node)
        return [node for node in named.get((kind, to_js_string(name)), ()) if _first_value(node) == name]

    def _add(self, node: UiNode, graph: Graph, host: FlatNode | None) -> FlatNode:
        """Add one node under its path. Raises CannotConvert if there are too many nodes."""
        flat_node = FlatNode(f"{host.id}:{node.id}" if host else node.id, node, graph, host)
        self.nodes[flat_node.id] = flat_node
        if len(self.nodes) > MAX_NODES:
            raise CannotConvert(f"the workflow's subgraphs unfold to more than {MAX_NODES} nodes")
        return flat_node

    def _expand(self, instance: FlatNode) -> None:
        """Add the nodes inside a subgraph instance, and those inside the instances in it."""
        waiting = [instance]
        while waiting:
            host = waiting.pop()
            if host.node.subgraph is None:
                continue
            if any(outer.node is host.node for outer in _hosts(host)):
                self._refuse(host, "its subgraph contains itself")
            for node in host.node.subgraph.nodes.values():
                flat_node = self._add(node, host.node.subgraph, host)
                if node.subgraph is not None:
                    waiting.append(flat_node)

    def _sibling(self, flat_node: FlatNode, node: UiNode) -> FlatNode:
        """Return the flat node of another node in the same graph."""
        return self.nodes[f"{flat_node.host.id}:{node.id}" if flat_node.host else node.id]

    def _step(self, visited: Visited, flat_node: FlatNode, side: str, number: int) -> None:
        """Record a step of the search. Raises CannotConvert for a step that was made before."""
        step = (flat_node.id, side, number)
        if step in visited:
            self._refuse(flat_node, "its links form a cycle")
        visited.add(step)

    def _refuse(self, flat_node: FlatNode, reason: str) -> NoReturn:
        """Raise a CannotConvert that names the node."""
        raise conversion_error(flat_node, reason)


def conversion_error(
    flat_node: FlatNode, reason: str, input_name: str | None = None, suggestion: str | None = None
) -> CannotConvert:
    """Return an error that names the node and, if given, the input."""
    detail = node_detail(flat_node, reason, input_name, suggestion)
    return CannotConvert(f"node {flat_node.id} ({detail.node_title}): {reason}", [detail])


def node_detail(
    flat_node: FlatNode, reason: str, input_name: str | None = None, suggestion: str | None = None
) -> Detail:
    """Return an error detail about a node."""
    node = flat_node.node
    return Detail(reason, flat_node.id, node.title or node.type, node.type, input_name, suggestion)


def _hosts(flat_node: FlatNode) -> Iterator[FlatNode]:
    """Yield the subgraph instances around a node, innermost first."""
    while flat_node.host is not None:
        flat_node = flat_node.host
        yield flat_node


def _host_slot(flat_node: FlatNode, link: Link) -> Slot:
    """Return the slot of the enclosing instance that a link inside comes from."""
    slots = flat_node.host.node.inputs if flat_node.host else []
    if not 0 <= link.origin_slot < len(slots):
        raise _BrokenLink(f"link {link.id} comes from input {link.origin_slot} of a subgraph that has {len(slots)}")
    return slots[link.origin_slot]


def _bypassed(flat_node: FlatNode, number: int, target_type: str) -> NextSlot | None:
    """Return the input that a bypassed node passes on in place of an output."""
    index = bypass_input(flat_node.node, number, target_type)
    if index is None:
        return None
    slot = flat_node.node.inputs[index]
    return flat_node, slot, slot.type


def _first_value(node: UiNode) -> Json:
    """Return the value of a node's first field, which is the name that it sets or reads."""
    values = node.values
    if isinstance(values, dict):
        return values.get("0")
    return values[0] if isinstance(values, list) and values else None


def _is_fed_from_outside(setter: FlatNode) -> bool:
    """Return whether a node sets a value that comes from an input of the subgraph around it."""
    slot = setter.node.inputs[0] if setter.node.inputs else None
    link = setter.graph.links.get(slot.link) if slot and slot.link is not None else None
    return link is not None and link.origin == INSIDE


def _next_slot(flat_node: FlatNode, number: int, target_type: str) -> NextSlot | None:
    """Return the input of a node with this number."""
    slots = flat_node.node.inputs
    return (flat_node, slots[number], target_type) if 0 <= number < len(slots) else None


def _inner_link(graph: Graph, number: int) -> tuple[str, int] | None:
    """Return node id and slot of the first link inside a subgraph that ends in this output."""
    links = graph.outputs[number].links if 0 <= number < len(graph.outputs) else []
    link = next((graph.links[link_id] for link_id in links if link_id in graph.links), None)
    return (link.origin, link.origin_slot) if link else None
