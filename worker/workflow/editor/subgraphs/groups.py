"""Group nodes of older editors (`workflow>Name`), rewritten as subgraphs with one definition for each instance.

Their definitions are in `extra.groupNodes`. The values of an instance are the values of all inner fields in order.
Inner slots without a link inside are inputs and outputs of the instance, in the order of the inner nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.errors import CannotConvert
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import InputSpec, Presence
from worker.workflow.editor.editor_graph import INSIDE, OUTSIDE, PRIMITIVE, REROUTE, Link, Port, Slot
from worker.workflow.editor.fields import fields_for, is_field
from worker.workflow.editor.saved_workflow import SavedGraph, SavedNode, SavedWorkflow, read_node, to_integer
from worker.workflow.editor.subgraphs.ids import highest_node_id
from worker.workflow.json_value import Json, JsonObject

PREFIXES = ("workflow>", "workflow/")
MAX_GROUP_NODES = 500


def expand_group_nodes(saved: SavedWorkflow, catalog: Catalog) -> None:
    """Replace every group node that has a definition by a subgraph instance, and add its subgraph to the workflow.

    Raises CannotConvert if there are too many group nodes, for example because they contain each other.
    """
    if not saved.group_nodes:
        return
    last_id, count = max(saved.last_node_id, highest_node_id(saved)), 0
    waiting = [saved.root, *saved.subgraphs]
    while waiting:
        graph = waiting.pop(0)
        for index, node in enumerate(graph.nodes):
            definition = _definition(saved.group_nodes, node.type)
            if definition is None:
                continue
            count += 1
            if count > MAX_GROUP_NODES:
                raise CannotConvert(f"the workflow's group nodes expand to more than {MAX_GROUP_NODES} nodes")
            expanded = _GroupExpansion(node, definition, catalog, last_id).expand()
            last_id = int(expanded.instance.id)
            graph.nodes[index] = expanded.instance
            saved.subgraphs.append(expanded.graph)
            waiting.append(expanded.graph)  # it may contain group nodes
            for link in graph.links:
                link.origin = expanded.instance.id if link.origin == node.id else link.origin
                link.target = expanded.instance.id if link.target == node.id else link.target


def _definition(group_nodes: JsonObject, kind: str) -> JsonObject | None:
    """Return the definition of a group node by its class, or None for other classes."""
    for prefix in PREFIXES:
        if kind.startswith(prefix):
            definition = group_nodes.get(kind[len(prefix) :])
            return definition if isinstance(definition, dict) else None
    return None


@dataclass(frozen=True, slots=True)
class ExpandedGroup:
    """A group node after its conversion: the subgraph and the instance that uses it."""

    instance: SavedNode
    graph: SavedGraph


@dataclass(slots=True)
class _InnerNode:
    """One inner node, with the inputs and the number of outputs of its class."""

    node: SavedNode
    specs: list[InputSpec]
    outputs: int
    outputs_linked_inside: set[int] = field(default_factory=set)


class _GroupExpansion:
    """The conversion of one group node into a subgraph and an instance of it.

    The inner nodes get the ids after `last_id`, and the instance gets the next one.
    """

    def __init__(self, node: SavedNode, definition: JsonObject, catalog: Catalog, last_id: int) -> None:
        self._node, self._definition = node, definition
        self._remaining_values = list(node.values) if isinstance(node.values, list) else []
        self._inner_nodes = [
            self._read_inner_node(row, catalog) for row in _list_in(definition, "nodes") if isinstance(row, dict)
        ]
        for number, inner in enumerate(self._inner_nodes, last_id + 1):
            inner.node.id = str(number)
        self._instance_id = str(last_id + len(self._inner_nodes) + 1)
        self._graph = SavedGraph(f"group node {self._instance_id}", [inner.node for inner in self._inner_nodes], [])
        self._name_counts: dict[str, int] = {}
        self._instance_slots: list[Slot] = []

    def expand(self) -> ExpandedGroup:
        """Return the subgraph and its instance.

        The inputs of the instance are in the editor's order: first all sockets, then the fields that were made inputs.
        """
        for inner in self._inner_nodes:
            self._set_values(inner)
        self._add_inner_links()
        for inner in self._inner_nodes:
            self._add_socket_inputs(inner)
        for inner in self._inner_nodes:
            for slot in inner.node.inputs:
                if slot.widget and slot.link is None:
                    self._add_input(inner, slot)
        self._add_outputs()
        instance = SavedNode(
            id=self._instance_id,
            type=self._graph.id,
            title=self._node.title,
            mode=self._node.mode,
            inputs=self._instance_slots,
            outputs=[port.type for port in self._graph.outputs],
            first_output_links=self._node.first_output_links,
            values=None,
            properties=self._node.properties,
        )
        return ExpandedGroup(instance, self._graph)

    def _read_inner_node(self, raw: JsonObject, catalog: Catalog) -> _InnerNode:
        """Return a parsed inner node with the visible inputs and the number of outputs of its class.

        A node of an unknown class has no inputs here, and the outputs of the file.
        """
        node = read_node(raw)
        if node.type not in catalog:
            return _InnerNode(node, [], len(node.outputs))
        node_class = catalog[node.type]
        specs = [spec for spec in node_class.inputs if spec.presence is not Presence.HIDDEN]
        return _InnerNode(node, specs, len(node_class.outputs))

    def _set_values(self, inner: _InnerNode) -> None:
        """Set the values of an inner node to the next ones of the instance, and remove these from the remaining values.

        A field that is an input of the inner node keeps the value of the definition: the instance has none for it.
        """
        if inner.node.type == PRIMITIVE:
            kind = inner.node.outputs[0] if inner.node.outputs else ""
            count = {"INT": 2, "FLOAT": 2, "COMBO": 3}.get(kind, 1)  # the value, its control, and a combo's filter
            own_values, self._remaining_values = self._remaining_values[:count], self._remaining_values[count:]
            inner.node.values = own_values or inner.node.values
            return
        values: list[Json] = list(inner.node.values) if isinstance(inner.node.values, list) else []
        converted_fields = {slot.widget for slot in inner.node.inputs if slot.widget}
        position = 0
        for spec in inner.specs:
            if not is_field(spec):
                continue
            width = sum(1 for widget in fields_for(spec) if widget.is_saved)
            if spec.name not in converted_fields and self._remaining_values:
                own_values, self._remaining_values = self._remaining_values[:width], self._remaining_values[width:]
                values[position : position + len(own_values)] = own_values
            position += width
        inner.node.values = values

    def _add_inner_links(self) -> None:
        """Add the links between inner nodes. The definition lists them as `[origin, slot, target, slot]` by node index.

        Entries of another form are skipped.
        """
        for row in _list_in(self._definition, "links"):
            match row:
                case [origin, origin_slot, target, target_slot, *_]:
                    numbers = [to_integer(number) for number in (origin, origin_slot, target, target_slot)]
                    if None not in numbers:
                        self._link(*[number or 0 for number in numbers])  # `or 0` only for the type checker

    def _link(self, origin: int, origin_slot: int, target: int, target_slot: int) -> None:
        """Add a link between the inner nodes with the indexes `origin` and `target`. Invalid indexes are ignored."""
        if not (0 <= origin < len(self._inner_nodes) and 0 <= target < len(self._inner_nodes)):
            return
        source, target_node = self._inner_nodes[origin], self._inner_nodes[target].node
        if not 0 <= target_slot < len(target_node.inputs):
            return
        link = self._new_link(source.node.id, origin_slot, target_node.id)
        target_node.inputs[target_slot].link = link.id
        source.outputs_linked_inside.add(origin_slot)
        if origin_slot == 0:
            source.node.first_output_links.append(link.id)

    def _new_link(self, origin: str, slot: int, target: str) -> Link:
        """Add a link to the group's subgraph, and return it."""
        link = Link(len(self._graph.links) + 1, origin, slot, target)
        self._graph.links.append(link)
        return link

    def _add_socket_inputs(self, inner: _InnerNode) -> None:
        """Make each socket of an inner node that has no link inside the group an input of the instance.

        Sockets that the file does not list are added to the node.
        """
        for spec in inner.specs:
            if is_field(spec):
                continue
            slot = next((slot for slot in inner.node.inputs if slot.name == spec.name), None)
            if slot is None:
                slot = Slot(spec.name, spec.type)
                inner.node.inputs.append(slot)
            if slot.link is None:
                self._add_input(inner, slot)
        if inner.node.type == REROUTE and inner.node.inputs and inner.node.inputs[0].link is None:
            self._add_input(inner, inner.node.inputs[0], inner.node.inputs[0].type)

    def _add_input(self, inner: _InnerNode, slot: Slot, default_name: str = "") -> None:
        """Make a slot of an inner node an input of the instance, unless the user has hidden it.

        It has the name that the user gave it, else `default_name`, else the name of the slot.
        """
        base_name = default_name or slot.name
        custom = self._slot_settings(inner, "input").get(base_name)
        if isinstance(custom, dict) and custom.get("visible") is False:
            return
        renamed = custom.get("name") if isinstance(custom, dict) else None
        name = self._unique_input_name(inner, renamed if isinstance(renamed, str) else base_name)
        link = self._new_link(INSIDE, len(self._graph.inputs), inner.node.id)
        slot.link = link.id
        self._graph.inputs.append(Port(name, slot.type, [link.id]))
        self._instance_slots.append(Slot(name, slot.type, self._outer_link(name, len(self._instance_slots))))

    def _unique_input_name(self, inner: _InnerNode, name: str) -> str:
        """Return a name for an input that is unique on the instance, as the editor builds it.

        The second input with a name gets the title of its node before it, and further ones also a number.
        """
        key = unique_name = name
        if name in self._name_counts:
            prefix = f"{inner.node.title or inner.node.type} "
            key = unique_name = prefix + name
            if key in self._name_counts:
                unique_name = f"{prefix}{self._name_counts[key]} {name}"
        self._name_counts[key] = self._name_counts.get(key, 1) + 1
        return unique_name

    def _outer_link(self, name: str, index: int) -> int | None:
        """Return the id of the link into an input of the instance, or None.

        It is the link of the group node's slot with the same name, else of the slot with the same index.
        """
        slot = next((slot for slot in self._node.inputs if slot.name == name), None)
        if slot is None and index < len(self._node.inputs):
            slot = self._node.inputs[index]
        return slot.link if slot else None

    def _add_outputs(self) -> None:
        """Make the outputs of inner nodes outputs of the instance.

        An output that the user has hidden is left out, and one that is only linked inside unless the user shows it.
        """
        external = [row for row in _list_in(self._definition, "external") if isinstance(row, list)]
        linked_outside = {tuple(to_integer(number) for number in row[:2]) for row in external}  # (node index, slot)
        for index, inner in enumerate(self._inner_nodes):
            for slot in range(inner.outputs):
                custom = self._slot_settings(inner, "output").get(str(slot))
                is_visible = custom.get("visible") if isinstance(custom, dict) else None
                is_internal = slot in inner.outputs_linked_inside and (index, slot) not in linked_outside
                if is_visible is False or (is_visible is None and is_internal):
                    continue
                link = self._new_link(inner.node.id, slot, OUTSIDE)
                kind = inner.node.outputs[slot] if slot < len(inner.node.outputs) else "*"
                self._graph.outputs.append(Port(f"output {len(self._graph.outputs)}", kind, [link.id]))

    def _slot_settings(self, inner: _InnerNode, side: str) -> JsonObject:
        """Return the user's settings for the slots of an inner node. `side` is "input" or "output".

        The keys are the names of inputs, or the numbers of outputs.
        """
        config = self._definition.get("config")
        node_config = config.get(str(self._inner_nodes.index(inner))) if isinstance(config, dict) else None
        settings = node_config.get(side) if isinstance(node_config, dict) else None
        return settings if isinstance(settings, dict) else {}


def _list_in(definition: JsonObject, key: str) -> list[Json]:
    """Return the list that the definition of a group node has under a key, or an empty one."""
    rows = definition.get(key)
    return rows if isinstance(rows, list) else []
