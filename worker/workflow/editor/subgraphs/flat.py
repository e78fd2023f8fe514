"""The workflow without subgraphs: all nodes by path (`12:34`), and the real source of each of their inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from worker.errors import CannotConvert, Detail
from worker.workflow.editor.editor_graph import (
    BYPASSED,
    INSIDE,
    BrowserNode,
    Graph,
    Link,
    Slot,
    UiNode,
    Widget,
)
from worker.workflow.editor.javascript import to_js_string
from worker.workflow.editor.slot_types import bypass_input
from worker.workflow.editor.subgraphs.flat_node import FlatNode, conversion_error, node_detail
from worker.workflow.json_value import Json

MAX_NODES = 10_000


@dataclass(frozen=True, slots=True)
class FlatSource:
    """An output of a node in the prompt that feeds an input. `id` is the id of the node."""

    id: str
    slot: int


Visited = set[tuple[str, str, int]]
"""Inputs and outputs that the search for a source has passed: the node's id, "in" or "out", and a number."""


class NextSlot(NamedTuple):
    """The input that replaces an output which is not in the prompt: the search for the source goes on there."""

    flat_node: FlatNode
    slot: Slot
    target_type: str
    """The type of the input for which the source is searched."""


class _BrokenLink(Exception):
    """A link without a source. `field` is the field that a subgraph instance shows at the slot, or None."""

    def __init__(self, reason: str, field: Widget | None = None) -> None:
        super().__init__(reason)
        self.field = field


class FlatGraph:
    """All nodes of a workflow and its subgraphs, in `nodes` by path (`12:34` is node 34 in the subgraph instance 12).

    A subgraph that is muted or bypassed in the workflow itself is not expanded. `warnings` has a remark for each broken
    link that `source_of` has met. Raises CannotConvert if a subgraph contains itself, or if there are too many nodes.
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
        """Return the output that feeds a slot, or the field that a subgraph instance shows there.

        Return None if nothing is linked. A broken link counts as no link and adds a warning. Raises CannotConvert when
        links form a cycle.
        """
        try:
            return self._follow(flat_node, slot)
        except _BrokenLink as broken:
            message = f"{broken}: nothing is linked to its input {slot.name!r}"
            self.warnings.append(node_detail(flat_node, message, slot.name))
            return broken.field

    def _follow(self, flat_node: FlatNode, slot: Slot) -> FlatSource | Widget | None:
        """Follow the links from a slot to its source, through subgraphs, bypassed nodes and browser nodes.

        Raises _BrokenLink for a link without a source, and CannotConvert when links form a cycle.
        """
        visited: Visited = set()
        target_type = slot.type
        while True:
            _record_step(visited, flat_node, "in", id(slot))
            if slot.link is None:
                return None
            link = flat_node.graph.links.get(slot.link)
            if link is None:
                raise _BrokenLink(f"link {slot.link} of node {flat_node.id} is not in the file", slot.promoted)
            if flat_node.host and link.origin == INSIDE:  # the link comes from an input of the subgraph
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
            if not isinstance(source, NextSlot):
                return source
            flat_node, slot, target_type = source

    def _resolve_output(
        self, flat_node: FlatNode, number: int, target_type: str, visited: Visited
    ) -> FlatSource | NextSlot | None:
        """Return the output with this number if its node is in the prompt, else the input that replaces it.

        Return None if nothing replaces it. An output of a subgraph is replaced by the output inside that feeds it.
        """
        while True:
            _record_step(visited, flat_node, "out", number)
            node = flat_node.node
            if node.is_disabled:
                return _bypassed(flat_node, number, target_type) if node.mode == BYPASSED else None
            if node.browser:
                return self._through_browser_node(flat_node, node.browser, number, target_type)
            if node.subgraph is None:
                return FlatSource(flat_node.id, number)
            link = _inner_link(node.subgraph, number)
            if link is None:
                return None
            if link.origin == INSIDE:  # the output is linked directly to an input of the subgraph
                return _next_slot(flat_node, link.origin_slot, target_type)
            if link.origin not in node.subgraph.nodes:
                raise _BrokenLink(
                    f"output {number} of node {flat_node.id} comes from node {link.origin}, which is not in the file"
                )
            flat_node, number = self.nodes[f"{flat_node.id}:{link.origin}"], link.origin_slot

    def _through_browser_node(
        self, flat_node: FlatNode, browser: BrowserNode, number: int, target_type: str
    ) -> NextSlot | None:
        """Return the input that replaces an output of a node that exists only in the browser, or None.

        It is an input of the node itself, or of the node that sets the name which this one reads. Raises CannotConvert
        if the output of such a node cannot be converted.
        """
        if browser.gets_from:
            setter = self._setter(flat_node, browser)
            return _next_slot(setter, number, target_type) if setter else None
        if browser.refused:
            raise conversion_error(flat_node, browser.refused)
        return _next_slot(flat_node, number, target_type)

    def _setter(self, flat_node: FlatNode, getter: BrowserNode) -> FlatNode | None:
        """Return the node that sets the name which a node reads, or None with a warning if it is not unique.

        The first such node of the same graph counts, or else the only one in the enclosing graphs. Raises CannotConvert
        for a strict getter without exactly one such node.
        """
        name, kind = _first_value(flat_node.node), getter.gets_from
        own_setters = self._setters(flat_node, kind, name)
        setters = list(own_setters)
        for host in flat_node.hosts() if getter.enclosing else ():
            setters += self._setters(host, kind, name)
        if not setters or (getter.strict and len(setters) > 1):
            reason = f"{len(setters) or 'no'} {kind} in its graph has the name {name!r}"
            if getter.strict:
                raise conversion_error(flat_node, reason)
            flat_node.node.warn(f"{reason}: nothing is linked in its place")
            return None
        if len(own_setters) > 1:
            count = len(own_setters)
            flat_node.node.warn(f"{count} {kind} have the name {name!r}: the first one counts, as in the editor")
        elif not own_setters and (len(setters) > 1 or _is_fed_from_outside(setters[0])):
            many = f"{len(setters)} {kind} in the enclosing graphs have the name {name!r}"
            reason = many if len(setters) > 1 else "it comes from an input of a subgraph"
            flat_node.node.warn(f"its source is ambiguous ({reason}): nothing is linked in its place, as in the editor")
            return None
        return setters[0]

    def _setters(self, sibling: FlatNode, kind: str, name: Json) -> list[FlatNode]:
        """Return the nodes of the class `kind` that set a name in the graph of `sibling`, in the file's order.

        An empty name matches none.
        """
        graph = sibling.graph
        nodes_by_name = self._named_nodes.get(id(graph))
        if nodes_by_name is None:  # computed once for each graph
            nodes_by_name = self._named_nodes[id(graph)] = {}
            for node in graph.nodes.values():
                if (value := _first_value(node)) not in (None, ""):
                    nodes_by_name.setdefault((node.type, to_js_string(value)), []).append(node)
        candidates = nodes_by_name.get((kind, to_js_string(name)), [])
        return [self._sibling(sibling, node) for node in candidates if _first_value(node) == name]

    def _add(self, node: UiNode, graph: Graph, host: FlatNode | None) -> FlatNode:
        """Add one node under its path, and return it. Raises CannotConvert if there are too many nodes."""
        flat_node = FlatNode(f"{host.id}:{node.id}" if host else node.id, node, graph, host)
        self.nodes[flat_node.id] = flat_node
        if len(self.nodes) > MAX_NODES:
            raise CannotConvert(f"the workflow's subgraphs expand to more than {MAX_NODES} nodes")
        return flat_node

    def _expand(self, instance: FlatNode) -> None:
        """Add the nodes inside a subgraph instance, and those inside the instances in it.

        Raises CannotConvert if a subgraph contains itself.
        """
        waiting = [instance]
        while waiting:
            host = waiting.pop()
            if host.node.subgraph is None:
                continue
            if any(outer.node is host.node for outer in host.hosts()):
                raise conversion_error(host, "its subgraph contains itself")
            for node in host.node.subgraph.nodes.values():
                flat_node = self._add(node, host.node.subgraph, host)
                if node.subgraph is not None:
                    waiting.append(flat_node)

    def _sibling(self, flat_node: FlatNode, node: UiNode) -> FlatNode:
        """Return the flat node of another node in the same graph."""
        return self.nodes[f"{flat_node.host.id}:{node.id}" if flat_node.host else node.id]


def _record_step(visited: Visited, flat_node: FlatNode, side: str, number: int) -> None:
    """Record that a search has reached an input or output. Raises CannotConvert if it was there before."""
    step = (flat_node.id, side, number)
    if step in visited:
        raise conversion_error(flat_node, "its links form a cycle")
    visited.add(step)


def _host_slot(flat_node: FlatNode, link: Link) -> Slot:
    """Return the slot of the enclosing subgraph instance that feeds a link inside the subgraph.

    Raises _BrokenLink if the instance does not have that many slots.
    """
    slots = flat_node.host.node.inputs if flat_node.host else []
    if not 0 <= link.origin_slot < len(slots):
        raise _BrokenLink(f"link {link.id} comes from input {link.origin_slot} of a subgraph that has {len(slots)}")
    return slots[link.origin_slot]


def _bypassed(flat_node: FlatNode, number: int, target_type: str) -> NextSlot | None:
    """Return the input that a bypassed node passes on in place of an output, or None if no input fits."""
    index = bypass_input(flat_node.node, number, target_type)
    if index is None:
        return None
    slot = flat_node.node.inputs[index]
    return NextSlot(flat_node, slot, slot.type)


def _first_value(node: UiNode) -> Json:
    """Return the value of a node's first field, which is the name that the node sets or reads, or None."""
    values = node.values
    if isinstance(values, dict):
        return values.get("0")
    return values[0] if isinstance(values, list) and values else None


def _is_fed_from_outside(setter: FlatNode) -> bool:
    """Return whether the value that a node sets comes from an input of the subgraph that contains the node."""
    slot = setter.node.inputs[0] if setter.node.inputs else None
    link = setter.graph.links.get(slot.link) if slot and slot.link is not None else None
    return link is not None and link.origin == INSIDE


def _next_slot(flat_node: FlatNode, number: int, target_type: str) -> NextSlot | None:
    """Return the input of a node with this number, or None if it has fewer inputs."""
    slots = flat_node.node.inputs
    return NextSlot(flat_node, slots[number], target_type) if 0 <= number < len(slots) else None


def _inner_link(subgraph: Graph, number: int) -> Link | None:
    """Return the first link inside a subgraph that ends in its output with this number, or None."""
    link_ids = subgraph.outputs[number].links if 0 <= number < len(subgraph.outputs) else []
    return next((subgraph.links[link_id] for link_id in link_ids if link_id in subgraph.links), None)
