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
    """Replace every group node that has a definition by a subgraph instance.

    Raises CannotConvert if there are too many group nodes, for example because they contain each other.
    """
    if not saved.group_nodes:
        return
    last, count = max(saved.last_node_id, highest_node_id(saved)), 0
    waiting = [saved.root, *saved.subgraphs]
    while waiting:
        graph = waiting.pop(0)
        for index, node in enumerate(graph.nodes):
            definition = _definition(saved.group_nodes, node.type)
            if definition is None:
                continue
            count += 1
            if count > MAX_GROUP_NODES:
                raise CannotConvert(f"the workflow's group nodes unfold to more than {MAX_GROUP_NODES}")
            expanded = _GroupExpansion(node, definition, catalog, last).expand()
            last = int(expanded.instance.id)
            graph.nodes[index] = expanded.instance
            saved.subgraphs.append(expanded.graph)
            waiting.append(expanded.graph)
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
class _Inner:
    """One inner node, with the inputs and the number of outputs of its class."""

    node: SavedNode
    specs: list[InputSpec]
    outputs: int
    outputs_linked_inside: set[int] = field(default_factory=set)


class _GroupExpansion:
    """The conversion of one group node into a subgraph and an instance of it."""

    def __init__(self, node: SavedNode, definition: JsonObject, catalog: Catalog, last_id: int) -> None:
        self._node, self._definition = node, definition
        self._values = list(node.values) if isinstance(node.values, list) else []
        self._inner = [self._read(row, catalog) for row in _rows(definition, "nodes") if isinstance(row, dict)]
        for number, inner in enumerate(self._inner, last_id + 1):
            inner.node.id = str(number)
        self._id = str(last_id + len(self._inner) + 1)
        self._graph = SavedGraph(f"group node {self._id}", [inner.node for inner in self._inner], [])
        self._name_counts: dict[str, int] = {}
        self._slots: list[Slot] = []

    def expand(self) -> ExpandedGroup:
        """Return the subgraph and its instance."""
        for inner in self._inner:
            self._set_values(inner)
        self._add_inner_links()
        for inner in self._inner:
            self._add_socket_inputs(inner)
        for inner in self._inner:
            for slot in inner.node.inputs:
                if slot.widget and slot.link is None:
                    self._add_input(inner, slot)
        self._add_outputs()
        instance = SavedNode(
            id=self._id,
            type=self._graph.id,
            title=self._node.title,
            mode=self._node.mode,
            inputs=self._slots,
            outputs=[port.type for port in self._graph.outputs],
            first_output_links=self._node.first_output_links,
            values=None,
            properties=self._node.properties,
        )
        return ExpandedGroup(instance, self._graph)

    def _read(self, raw: JsonObject, catalog: Catalog) -> _Inner:
        """Return a parsed inner node with the inputs and outputs of its class."""
        node = read_node(raw)
        if node.type not in catalog:
            return _Inner(node, [], len(node.outputs))
        node_class = catalog[node.type]
        specs = [spec for spec in node_class.inputs if spec.presence is not Presence.HIDDEN]
        return _Inner(node, specs, len(node_class.outputs))

    def _set_values(self, inner: _Inner) -> None:
        """Take the values of an inner node from the front of the instance's values.

        Fields that are inputs of the inner node keep the values of the definition.
        """
        if inner.node.type == PRIMITIVE:
            count = {"INT": 2, "FLOAT": 2, "COMBO": 3}.get(next(iter(inner.node.outputs), ""), 1)
            own, self._values = self._values[:count], self._values[count:]
            inner.node.values = own or inner.node.values
            return
        values: list[Json] = list(inner.node.values) if isinstance(inner.node.values, list) else []
        converted_fields = {slot.widget for slot in inner.node.inputs if slot.widget}
        position = 0
        for spec in inner.specs:
            if not is_field(spec):
                continue
            width = sum(1 for widget in fields_for(spec) if widget.is_saved)
            if spec.name not in converted_fields and self._values:
                own, self._values = self._values[:width], self._values[width:]
                values[position : position + len(own)] = own
            position += width
        inner.node.values = values

    def _add_inner_links(self) -> None:
        """Add the links between inner nodes, which the definition lists by node index."""
        for row in _rows(self._definition, "links"):
            match row:
                case [origin, slot, target, target_slot, *_]:
                    numbers = [to_integer(number) for number in (origin, slot, target, target_slot)]
                    if None not in numbers:
                        self._link(*[number or 0 for number in numbers])

    def _link(self, origin: int, slot: int, target: int, target_slot: int) -> None:
        """Add a link between two inner nodes. Invalid indexes are ignored."""
        if not (0 <= origin < len(self._inner) and 0 <= target < len(self._inner)):
            return
        source, target_node = self._inner[origin], self._inner[target].node
        if not 0 <= target_slot < len(target_node.inputs):
            return
        link = self._new_link(source.node.id, slot, target_node.id)
        target_node.inputs[target_slot].link = link.id
        source.outputs_linked_inside.add(slot)
        if slot == 0:
            source.node.first_output_links.append(link.id)

    def _new_link(self, origin: str, slot: int, target: str) -> Link:
        """Add a link to the group's subgraph."""
        link = Link(len(self._graph.links) + 1, origin, slot, target)
        self._graph.links.append(link)
        return link

    def _add_socket_inputs(self, inner: _Inner) -> None:
        """Make every socket of an inner node without a link inside an input of the instance."""
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

    def _add_input(self, inner: _Inner, slot: Slot, default_name: str = "") -> None:
        """Make a slot of an inner node an input of the instance, unless the user has hidden it."""
        custom = self._slot_settings(inner, "input").get(default_name or slot.name)
        if isinstance(custom, dict) and custom.get("visible") is False:
            return
        renamed = custom.get("name") if isinstance(custom, dict) else None
        name = self._unique(inner, renamed if isinstance(renamed, str) else default_name or slot.name)
        link = self._new_link(INSIDE, len(self._graph.inputs), inner.node.id)
        slot.link = link.id
        self._graph.inputs.append(Port(name, slot.type, [link.id]))
        self._slots.append(Slot(name, slot.type, self._outer_link(name, len(self._slots))))

    def _unique(self, inner: _Inner, name: str) -> str:
        """Return a name for an input that is unique on the instance, as the editor builds it."""
        key = unique = name
        if name in self._name_counts:
            prefix = f"{inner.node.title or inner.node.type} "
            key = unique = prefix + name
            if key in self._name_counts:
                unique = f"{prefix}{self._name_counts[key]} {name}"
        self._name_counts[key] = self._name_counts.get(key, 1) + 1
        return unique

    def _outer_link(self, name: str, index: int) -> int | None:
        """Return the link into an input of the instance: that of the slot with its name, else of the same index."""
        slot = next((slot for slot in self._node.inputs if slot.name == name), None)
        if slot is None and index < len(self._node.inputs):
            slot = self._node.inputs[index]
        return slot.link if slot else None

    def _add_outputs(self) -> None:
        """Make the outputs of inner nodes outputs of the instance, unless they are hidden or only linked inside."""
        external = (row for row in _rows(self._definition, "external") if isinstance(row, list))
        linked_outside = {tuple(to_integer(number) for number in row[:2]) for row in external}
        for index, inner in enumerate(self._inner):
            for slot in range(inner.outputs):
                custom = self._slot_settings(inner, "output").get(str(slot))
                is_visible = custom.get("visible") if isinstance(custom, dict) else None
                is_internal = slot in inner.outputs_linked_inside and (index, slot) not in linked_outside
                if is_visible is False or (is_visible is None and is_internal):
                    continue
                link = self._new_link(inner.node.id, slot, OUTSIDE)
                kind = inner.node.outputs[slot] if slot < len(inner.node.outputs) else "*"
                self._graph.outputs.append(Port(f"output {len(self._graph.outputs)}", kind, [link.id]))

    def _slot_settings(self, inner: _Inner, side: str) -> JsonObject:
        """Return the user's settings for the inputs or the outputs of an inner node, by slot."""
        config = self._definition.get("config")
        node_config = config.get(str(self._inner.index(inner))) if isinstance(config, dict) else None
        settings = node_config.get(side) if isinstance(node_config, dict) else None
        return settings if isinstance(settings, dict) else {}


def _rows(definition: JsonObject, key: str) -> list[Json]:
    """Return a list of the definition, or an empty one."""
    rows = definition.get(key)
    return rows if isinstance(rows, list) else []
