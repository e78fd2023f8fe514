"""Fields that a subgraph's instance shows by `properties.proxyWidgets`, the way before every one of them was an input.

The editor turns each entry into an input of the subgraph, linked to the field inside, and gives it the value that the
instance saved in the same place of its `widgets_values`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from worker.workflow.catalog.node_class import AUTOGROW, DYNAMIC_COMBO
from worker.workflow.editor.editor_graph import INSIDE, PRIMITIVE, Graph, Link, Port, Slot, UiNode
from worker.workflow.editor.subgraphs.instance import give, show
from worker.workflow.json_value import Json

_PREFIX = re.compile(r"^\s*(\d+)\s*:\s*(.+)$", re.DOTALL)
_COUNTED_ANEW = (DYNAMIC_COMBO, AUTOGROW)
_BYPASSED_TO = "proxyBypassedToSubgraphInput"


def adopt_proxies(host: UiNode, instances: list[UiNode]) -> None:
    """Make inputs of a host's proxies; all `instances` of its subgraph get them, the host alone its values."""
    graph, values = host.subgraph, host.values if isinstance(host.values, list) else []
    if graph is None:
        return
    later: dict[str, list[Json]] = {}
    for place, (node_id, name) in _entries(host):
        value = values[place] if place < len(values) else None
        slot = _slot_for(host, graph, node_id, name) or (host.slot(name) if node_id == "-1" else None)
        source = graph.nodes.get(node_id)
        if slot is None and source is not None and source.type == PRIMITIVE:
            later.setdefault(node_id, []).append([name, value])
            continue
        if slot is None and source is not None:
            slot = _new_input(host, graph, source, _bare(source, name), instances)
        if slot is not None and value is not None:
            give(slot, value)
    for node_id, wanted in later.items():
        _take_over_primitive(host, graph, graph.nodes[node_id], wanted, instances)


def _entries(host: UiNode) -> Iterator[tuple[int, tuple[str, str]]]:
    proxies = host.properties.get("proxyWidgets")
    for place, entry in enumerate(proxies if isinstance(proxies, list) else []):
        match entry:
            case [str(node_id), str(name)] | [str(node_id), str(name), str()]:
                yield place, (node_id, name)


def _bare(source: UiNode, name: str) -> str:
    """Without the ids that some versions wrote before a name (`12: text`), where it isn't the name itself."""
    while _field(source, name) is None and (prefixed := _PREFIX.match(name)):
        name = prefixed[2]
    return name


def _slot_for(host: UiNode, graph: Graph, node_id: str, name: str) -> Slot | None:
    """The host's slot that already shows this field."""
    for port in graph.inputs:
        for link_id in port.links:
            end = graph.target(link_id)
            field = end[0].widget_of(end[1]) if end else None
            if end is None or (field is None and end[0].subgraph is None):
                continue
            shown = end[1].name if end[0].subgraph is not None or field is None else field.name
            if (end[0].id, shown) == (node_id, name):
                return host.slot(port.name)
            break
    return None


def _field(source: UiNode, name: str) -> Slot | None:
    """The slot of the field `name` of a node inside; on an instance of another subgraph, of what it shows."""
    if source.subgraph is not None:
        return next((slot for slot in source.inputs if slot.promoted and _shows(source.subgraph, slot, name)), None)
    widget = source.widget(name)
    if widget is None or not widget.sent:
        return None
    return next((slot for slot in source.inputs if slot.widget == name), None)


def _shows(subgraph: Graph, slot: Slot, name: str) -> bool:
    if slot.name == name:
        return True
    port = next((port for port in subgraph.inputs if port.name == slot.name), None)
    ends = [end for link_id in (port.links if port else []) if (end := subgraph.target(link_id))]
    return bool(ends) and (ends[0][1].widget or ends[0][1].name) == name


def _new_input(host: UiNode, graph: Graph, source: UiNode, name: str, instances: list[UiNode]) -> Slot | None:
    target = _field(source, name)
    if target is None:
        return None
    port = _add_port(graph, name, target.type)
    _link_in(graph, port, source, target)
    _spread(port, target, source, instances)
    return host.slot(port.name)


def _add_port(graph: Graph, name: str, kind: str) -> Port:
    taken = {port.name for port in graph.inputs}
    unique, count = name, 0
    while unique in taken:
        count += 1
        unique = f"{name}_{count}"
    port = Port(unique, kind, [])
    graph.inputs.append(port)
    return port


def _link_in(graph: Graph, port: Port, node: UiNode, slot: Slot) -> None:
    """Whatever was linked into the slot before is cut off."""
    link = Link(max(graph.links, default=0) + 1, INSIDE, graph.inputs.index(port), node.id)
    graph.links[link.id] = link
    port.links.append(link.id)
    slot.link = link.id


def _spread(port: Port, target: Slot, source: UiNode, instances: list[UiNode]) -> None:
    field = source.widget_of(target)
    for instance in instances:
        slot = Slot(port.name, port.type)
        instance.inputs.append(slot)
        if field is not None:
            show(slot, field, field.value)


def _take_over_primitive(
    host: UiNode, graph: Graph, primitive: UiNode, wanted: list[Json], instances: list[UiNode]
) -> None:
    """A shown primitive: the input takes its place, and whatever it fed is linked to the input."""
    ends = [_counted_end(graph, link_id) for link_id in primitive.fed if link_id in graph.links]
    names = [entry[0] for entry in wanted if isinstance(entry, list)]
    known = primitive.properties.get(_BYPASSED_TO)
    if isinstance(known, str) and (slot := host.slot(known)):
        _give_first(slot, wanted)
        return
    kind = primitive.outputs[0] if primitive.outputs else "*"
    found = [end for end in ends if end is not None and (end[1].type == kind or "*" in (end[1].type, kind))]
    if not found or len(found) != len(ends) or len(set(map(str, names))) != 1:
        return
    base = primitive.title if primitive.title and primitive.title != PRIMITIVE else str(names[0])
    port = _add_port(graph, base, kind)
    for node, target in found:
        primitive.fed = [link_id for link_id in primitive.fed if link_id != target.link]
        _link_in(graph, port, node, target)
    primitive.properties = {**primitive.properties, _BYPASSED_TO: port.name}
    _spread(port, found[0][1], found[0][0], instances)
    slot = host.slot(port.name)
    if slot is not None:
        _give_first(slot, wanted)


def _counted_end(graph: Graph, link_id: int) -> tuple[UiNode, Slot] | None:
    """Where the editor takes a link to end here: it counts the slots, and only dynamic inputs keep that count right."""
    link = graph.links[link_id]
    node = graph.nodes.get(link.target)
    if node is None or (node.node_class and any(one.type in _COUNTED_ANEW for one in node.node_class.inputs)):
        return graph.target(link_id)
    return (node, node.inputs[link.target_slot]) if 0 <= link.target_slot < len(node.inputs) else None


def _give_first(slot: Slot, wanted: list[Json]) -> None:
    for entry in wanted:
        if isinstance(entry, list) and entry[1] is not None:
            give(slot, entry[1])
            return
