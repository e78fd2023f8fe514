"""Group nodes of older editors (`workflow>Name`): rewritten as subgraphs, each instance with a definition of its own.

Their definitions lie in `extra.groupNodes`. The values of an instance are those of its inner nodes' fields, one after
another; what is not linked inside is an input or an output of the instance, in the order of the inner nodes.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.errors import CannotConvert
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import InputSpec, Presence
from worker.workflow.editor.editor_graph import INSIDE, OUTSIDE, PRIMITIVE, REROUTE, Link, Port, Slot
from worker.workflow.editor.fields import fields_of, is_field
from worker.workflow.editor.saved import SavedGraph, SavedNode, SavedWorkflow, read_node, whole
from worker.workflow.editor.subgraphs.ids import highest
from worker.workflow.json_value import Json, JsonObject

PREFIXES = ("workflow>", "workflow/")
MOST = 500


def open_groups(saved: SavedWorkflow, catalog: Catalog) -> None:
    """Replace every group node that has a definition. Raises CannotConvert where they contain each other endlessly."""
    if not saved.group_nodes:
        return
    last, count = max(saved.last_node_id, highest(saved)), 0
    waiting = [saved.root, *saved.subgraphs]
    while waiting:
        graph = waiting.pop(0)
        for place, node in enumerate(graph.nodes):
            definition = _definition(saved.group_nodes, node.type)
            if definition is None:
                continue
            count += 1
            if count > MOST:
                raise CannotConvert(f"the workflow's group nodes unfold to more than {MOST}")
            opened = _Group(node, definition, catalog, last).open()
            last = int(opened.instance.id)
            graph.nodes[place] = opened.instance
            saved.subgraphs.append(opened.graph)
            waiting.append(opened.graph)
            for link in graph.links:
                link.origin = opened.instance.id if link.origin == node.id else link.origin
                link.target = opened.instance.id if link.target == node.id else link.target


def _definition(group_nodes: JsonObject, kind: str) -> JsonObject | None:
    for prefix in PREFIXES:
        if kind.startswith(prefix):
            found = group_nodes.get(kind[len(prefix) :])
            return found if isinstance(found, dict) else None
    return None


@dataclass(frozen=True, slots=True)
class Opened:
    """What a group node became."""

    instance: SavedNode
    graph: SavedGraph


@dataclass(slots=True)
class _Inner:
    """One inner node, with what its class says of it."""

    node: SavedNode
    specs: list[InputSpec]
    outputs: int
    fed_inside: set[int] = field(default_factory=set)


class _Group:
    def __init__(self, node: SavedNode, definition: JsonObject, catalog: Catalog, last_id: int) -> None:
        self._node, self._definition = node, definition
        self._values = list(node.values) if isinstance(node.values, list) else []
        self._inner = [self._read(one, catalog) for one in _rows(definition, "nodes") if isinstance(one, dict)]
        for number, inner in enumerate(self._inner, last_id + 1):
            inner.node.id = str(number)
        self._id = str(last_id + len(self._inner) + 1)
        self._graph = SavedGraph(f"group node {self._id}", [inner.node for inner in self._inner], [])
        self._taken: dict[str, int] = {}
        self._slots: list[Slot] = []

    def open(self) -> Opened:
        for inner in self._inner:
            self._give_values(inner)
        self._link_inside()
        for inner in self._inner:
            self._show_sockets(inner)
        for inner in self._inner:
            for slot in inner.node.inputs:
                if slot.widget and slot.link is None:
                    self._add_input(inner, slot)
        self._show_outputs()
        instance = SavedNode(
            id=self._id,
            type=self._graph.id,
            title=self._node.title,
            mode=self._node.mode,
            inputs=self._slots,
            outputs=[port.type for port in self._graph.outputs],
            fed=self._node.fed,
            values=None,
            properties=self._node.properties,
        )
        return Opened(instance, self._graph)

    def _read(self, written: JsonObject, catalog: Catalog) -> _Inner:
        node = read_node(written)
        if node.type not in catalog:
            return _Inner(node, [], len(node.outputs))
        node_class = catalog[node.type]
        specs = [spec for spec in node_class.inputs if spec.presence is not Presence.HIDDEN]
        return _Inner(node, specs, len(node_class.outputs))

    def _give_values(self, inner: _Inner) -> None:
        """The instance's values are its inner nodes', but for fields that were made inputs."""
        if inner.node.type == PRIMITIVE:
            count = {"INT": 2, "FLOAT": 2, "COMBO": 3}.get(next(iter(inner.node.outputs), ""), 1)
            own, self._values = self._values[:count], self._values[count:]
            inner.node.values = own or inner.node.values
            return
        values: list[Json] = list(inner.node.values) if isinstance(inner.node.values, list) else []
        made_inputs = {slot.widget for slot in inner.node.inputs if slot.widget}
        place = 0
        for spec in inner.specs:
            if not is_field(spec):
                continue
            width = sum(1 for widget in fields_of(spec) if widget.saved)
            if spec.name not in made_inputs and self._values:
                own, self._values = self._values[:width], self._values[width:]
                values[place : place + len(own)] = own
            place += width
        inner.node.values = values

    def _link_inside(self) -> None:
        for row in _rows(self._definition, "links"):
            match row:
                case [origin, slot, target, target_slot, *_]:
                    ends = [whole(one) for one in (origin, slot, target, target_slot)]
                    if None not in ends:
                        self._link(*[one or 0 for one in ends])

    def _link(self, origin: int, slot: int, target: int, target_slot: int) -> None:
        if not (0 <= origin < len(self._inner) and 0 <= target < len(self._inner)):
            return
        source, end = self._inner[origin], self._inner[target].node
        if not 0 <= target_slot < len(end.inputs):
            return
        link = self._new_link(source.node.id, slot, end.id)
        end.inputs[target_slot].link = link.id
        source.fed_inside.add(slot)
        if slot == 0:
            source.node.fed.append(link.id)

    def _new_link(self, origin: str, slot: int, target: str) -> Link:
        link = Link(len(self._graph.links) + 1, origin, slot, target)
        self._graph.links.append(link)
        return link

    def _show_sockets(self, inner: _Inner) -> None:
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

    def _add_input(self, inner: _Inner, slot: Slot, called: str = "") -> None:
        custom = self._custom(inner, "input").get(called or slot.name)
        if isinstance(custom, dict) and custom.get("visible") is False:
            return
        renamed = custom.get("name") if isinstance(custom, dict) else None
        name = self._unique(inner, renamed if isinstance(renamed, str) else called or slot.name)
        link = self._new_link(INSIDE, len(self._graph.inputs), inner.node.id)
        slot.link = link.id
        self._graph.inputs.append(Port(name, slot.type, [link.id]))
        self._slots.append(Slot(name, slot.type, self._linked(name, len(self._slots))))

    def _unique(self, inner: _Inner, name: str) -> str:
        key = unique = name
        if name in self._taken:
            prefix = f"{inner.node.title or inner.node.type} "
            key = unique = prefix + name
            if key in self._taken:
                unique = f"{prefix}{self._taken[key]} {name}"
        self._taken[key] = self._taken.get(key, 1) + 1
        return unique

    def _linked(self, name: str, place: int) -> int | None:
        """What the file has linked into an input of the instance, by name; by place where names don't tell."""
        named = next((slot for slot in self._node.inputs if slot.name == name), None)
        if named is None and place < len(self._node.inputs):
            named = self._node.inputs[place]
        return named.link if named else None

    def _show_outputs(self) -> None:
        external = (row for row in _rows(self._definition, "external") if isinstance(row, list))
        outside = {tuple(whole(one) for one in row[:2]) for row in external}
        for index, inner in enumerate(self._inner):
            for slot in range(inner.outputs):
                custom = self._custom(inner, "output").get(str(slot))
                shown = custom.get("visible") if isinstance(custom, dict) else None
                hidden = slot in inner.fed_inside and (index, slot) not in outside
                if shown is False or (shown is None and hidden):
                    continue
                link = self._new_link(inner.node.id, slot, OUTSIDE)
                kind = inner.node.outputs[slot] if slot < len(inner.node.outputs) else "*"
                self._graph.outputs.append(Port(f"output {len(self._graph.outputs)}", kind, [link.id]))

    def _custom(self, inner: _Inner, way: str) -> JsonObject:
        config = self._definition.get("config")
        own = config.get(str(self._inner.index(inner))) if isinstance(config, dict) else None
        found = own.get(way) if isinstance(own, dict) else None
        return found if isinstance(found, dict) else {}


def _rows(definition: JsonObject, key: str) -> list[Json]:
    rows = definition.get(key)
    return rows if isinstance(rows, list) else []
