"""Fields that an instance shows through `properties.proxyWidgets`, as editors saved them before they became inputs.

As the editor does, each entry is turned into an input of the subgraph that is linked to the inner field. Its value is
the one that the instance saved at the same index of its `widgets_values`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from worker.workflow.catalog.node_class import AUTOGROW, DYNAMIC_COMBO
from worker.workflow.editor.editor_graph import INSIDE, PRIMITIVE, Graph, Link, Port, Slot, UiNode
from worker.workflow.editor.subgraphs.instance import promote_field, set_instance_value
from worker.workflow.json_value import Json

_ID_PREFIX = re.compile(r"^\s*(\d+)\s*:\s*(.+)$", re.DOTALL)
_DYNAMIC_TYPES = (DYNAMIC_COMBO, AUTOGROW)
_REPLACED_BY = "proxyBypassedToSubgraphInput"
"""The property in which the editor notes the input that replaced a primitive."""


@dataclass(frozen=True, slots=True)
class _Proxy:
    """One entry: the inner node, the name of its field, and the instance's value or None."""

    node_id: str
    name: str
    value: Json


def convert_proxies(host: UiNode, instances: list[UiNode]) -> None:
    """Turn the entries of the property `proxyWidgets` of the instance `host` into inputs of its subgraph.

    All `instances` of the subgraph get the inputs, but only the host gets the saved values. Entries for a field that is
    already shown, or does not exist, add no input.
    """
    graph = host.subgraph
    if graph is None:
        return
    primitive_proxies: dict[str, list[_Proxy]] = {}
    for proxy in _proxies(host):
        slot = _existing_slot(host, graph, proxy)
        source = graph.nodes.get(proxy.node_id)
        if slot is None and source is not None and source.type == PRIMITIVE:
            primitive_proxies.setdefault(proxy.node_id, []).append(proxy)
            continue
        if slot is None and source is not None:
            slot = _new_input(host, graph, source, _without_id_prefix(source, proxy.name), instances)
        if slot is not None and proxy.value is not None:
            set_instance_value(slot, proxy.value)
    for node_id, proxies in primitive_proxies.items():
        _replace_primitive(host, graph.nodes[node_id], proxies, instances)


def _proxies(host: UiNode) -> Iterator[_Proxy]:
    """Yield the entries of an instance's property `proxyWidgets`. Entries of another form are skipped.

    The value of an entry is the one at the same index of the instance's values.
    """
    values = host.values if isinstance(host.values, list) else []
    entries = host.properties.get("proxyWidgets")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        match entry:
            case [str(node_id), str(name)] | [str(node_id), str(name), str()]:
                yield _Proxy(node_id, name, values[index] if index < len(values) else None)


def _without_id_prefix(source: UiNode, name: str) -> str:
    """Return a field's name without the ids that some versions put before it (`12: text`)."""
    while _field_slot(source, name) is None and (prefixed := _ID_PREFIX.match(name)):
        name = prefixed[2]
    return name


def _existing_slot(host: UiNode, graph: Graph, proxy: _Proxy) -> Slot | None:
    """Return the slot of the host that already shows the proxy's field, or None.

    The node id -1 means the host itself.
    """
    for port in graph.inputs:
        if _shown_by_port(graph, port) == (proxy.node_id, proxy.name):
            return host.slot(port.name)
    return host.slot(proxy.name) if proxy.node_id == "-1" else None


def _shown_by_port(graph: Graph, port: Port) -> tuple[str, str] | None:
    """Return node id and name of the first inner field that an input of a subgraph is linked to, or None.

    In an instance of another subgraph, the name is that of the slot.
    """
    for link_id in port.links:
        target = graph.link_target(link_id)
        if target is None:
            continue
        node, slot = target
        field = node.widget_of(slot)
        if node.subgraph is not None:
            return node.id, slot.name
        if field is not None:
            return node.id, field.name
    return None


def _field_slot(source: UiNode, name: str) -> Slot | None:
    """Return the slot of an inner node's field, or None if there is no such field or it is not sent.

    In an instance of another subgraph, return the slot that shows the field.
    """
    if source.subgraph is not None:
        return next((slot for slot in source.inputs if slot.promoted and _shows(source.subgraph, slot, name)), None)
    widget = source.widget(name)
    if widget is None or not widget.is_sent:
        return None
    return next((slot for slot in source.inputs if slot.widget == name), None)


def _shows(subgraph: Graph, slot: Slot, name: str) -> bool:
    """Return whether a slot of an instance has this name, or shows an inner field with this name."""
    if slot.name == name:
        return True
    port = next((port for port in subgraph.inputs if port.name == slot.name), None)
    for link_id in port.links if port else ():
        target = subgraph.link_target(link_id)
        if target is not None:
            _, inner_slot = target
            return (inner_slot.widget or inner_slot.name) == name
    return False


def _new_input(host: UiNode, graph: Graph, source: UiNode, name: str, instances: list[UiNode]) -> Slot | None:
    """Add an input to the subgraph for a field of the inner node `source`, and return the host's slot for it.

    Return None if the node has no such field.
    """
    target = _field_slot(source, name)
    if target is None:
        return None
    port = _add_port(graph, name, target.type)
    _link_port(graph, port, source, target)
    _add_instance_slots(port, target, source, instances)
    return host.slot(port.name)


def _add_port(graph: Graph, name: str, kind: str) -> Port:
    """Add an input to a subgraph, and return it. Its name is made unique by a number (`seed`, `seed_1`, ...)."""
    names = {port.name for port in graph.inputs}
    unique, count = name, 0
    while unique in names:
        count += 1
        unique = f"{name}_{count}"
    port = Port(unique, kind, [])
    graph.inputs.append(port)
    return port


def _link_port(graph: Graph, port: Port, node: UiNode, slot: Slot) -> None:
    """Link an input of a subgraph to a slot of an inner node. This replaces the slot's link."""
    link = Link(max(graph.links, default=0) + 1, INSIDE, graph.inputs.index(port), node.id)
    graph.links[link.id] = link
    port.links.append(link.id)
    slot.link = link.id


def _add_instance_slots(port: Port, target: Slot, source: UiNode, instances: list[UiNode]) -> None:
    """Give every instance a slot for a new input, which shows the inner field."""
    field = source.widget_of(target)
    for instance in instances:
        slot = Slot(port.name, port.type)
        instance.inputs.append(slot)
        if field is not None:
            promote_field(slot, field, field.value)


def _replace_primitive(host: UiNode, primitive: UiNode, proxies: list[_Proxy], instances: list[UiNode]) -> None:
    """Replace an inner PrimitiveNode by an input of the subgraph, which is linked to all fields that the node fed.

    As in the editor, this happens only if the proxies have one name and all fields fit the primitive's type.
    """
    graph = host.subgraph
    replaced_by = primitive.properties.get(_REPLACED_BY)
    if isinstance(replaced_by, str) and (slot := host.slot(replaced_by)):  # another instance has replaced it
        _set_first_value(slot, proxies)
        return
    if graph is None:
        return
    kind = primitive.outputs[0] if primitive.outputs else "*"
    link_ids = [link_id for link_id in primitive.first_output_links if link_id in graph.links]
    targets = [_target_by_index(graph, link_id) for link_id in link_ids]
    fitting = [(node, slot) for node, slot in filter(None, targets) if slot.type == kind or "*" in (slot.type, kind)]
    if not fitting or len(fitting) != len(link_ids) or len({proxy.name for proxy in proxies}) != 1:
        return
    has_own_title = primitive.title and primitive.title != PRIMITIVE
    port = _add_port(graph, primitive.title if has_own_title else proxies[0].name, kind)
    for node, slot in fitting:
        primitive.first_output_links = [link_id for link_id in primitive.first_output_links if link_id != slot.link]
        _link_port(graph, port, node, slot)
    primitive.properties = {**primitive.properties, _REPLACED_BY: port.name}
    first_node, first_slot = fitting[0]
    _add_instance_slots(port, first_slot, first_node, instances)
    new_slot = host.slot(port.name)
    if new_slot is not None:
        _set_first_value(new_slot, proxies)


def _target_by_index(graph: Graph, link_id: int) -> tuple[UiNode, Slot] | None:
    """Return the node and the slot that a link ends in, or None. As in the editor, the saved index of the slot counts.

    The index is correct only for nodes without dynamic inputs. For others the slot that names the link is returned.
    """
    link = graph.links[link_id]
    node = graph.nodes.get(link.target)
    if node is None or (node.node_class and any(spec.type in _DYNAMIC_TYPES for spec in node.node_class.inputs)):
        return graph.link_target(link_id)
    return (node, node.inputs[link.target_slot]) if 0 <= link.target_slot < len(node.inputs) else None


def _set_first_value(slot: Slot, proxies: list[_Proxy]) -> None:
    """Set the value of a slot to the first value among the proxies, if one has a value."""
    value = next((proxy.value for proxy in proxies if proxy.value is not None), None)
    if value is not None:
        set_instance_value(slot, value)
