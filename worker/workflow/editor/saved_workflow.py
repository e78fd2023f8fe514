"""Parser of the editor's workflow files. It is lenient: a part that has the wrong type counts as absent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.errors import CannotConvert
from worker.workflow.editor.editor_graph import Link, Port, Slot
from worker.workflow.json_value import Json, JsonObject
from worker.workflow.prompt import is_ui

MAX_NODES = 5_000
MAX_SLOTS = 2_000
MAX_INTEGER = 2**53
_LINK_FIELDS = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
_INTEGER = re.compile(r"-?[0-9]{1,15}")


@dataclass(slots=True)
class SavedNode:
    """One node of the file."""

    id: str
    type: str
    title: str
    mode: int
    inputs: list[Slot]
    outputs: list[str]
    first_output_links: list[int]
    values: Json
    properties: JsonObject
    raw: JsonObject = field(default_factory=dict)
    """The node as the file has it."""


@dataclass(slots=True)
class SavedGraph:
    """The workflow itself, or the definition of one subgraph."""

    id: str
    nodes: list[SavedNode]
    links: list[Link]
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    raw: JsonObject = field(default_factory=dict)
    """The graph as the file has it."""


@dataclass(slots=True)
class SavedWorkflow:
    """A file: its graph, its subgraphs, the group nodes of older editors, and the highest node id ever used in it."""

    root: SavedGraph
    subgraphs: list[SavedGraph]
    group_nodes: JsonObject
    last_node_id: int


def read_workflow(workflow: object) -> SavedWorkflow:
    """Return the parsed workflow.

    Raises CannotConvert if `is_ui` does not recognize the value as a workflow, or if the file exceeds a limit.
    """
    if not isinstance(workflow, dict) or not is_ui(workflow):
        raise CannotConvert("this is not a workflow that the editor saved: it has no lists of nodes and links")
    graphs = [_read_graph(definition) for definition in _definitions(workflow)]
    saved = SavedWorkflow(
        root=_read_graph(workflow),
        subgraphs=[graph for graph in graphs if graph.id],
        group_nodes=_as_object(_as_object(workflow.get("extra")).get("groupNodes")),
        last_node_id=_last_node_id(workflow),
    )
    if len(saved.root.nodes) + sum(len(graph.nodes) for graph in saved.subgraphs) > MAX_NODES:
        raise CannotConvert(f"the workflow has more than {MAX_NODES} nodes")
    return saved


def _definitions(workflow: JsonObject) -> Iterator[JsonObject]:
    """Yield the definitions of all subgraphs. One may be saved inside another, at any depth."""
    waiting: list[Json] = [workflow]
    while waiting:
        holder = _as_object(_as_object(waiting.pop(0)).get("definitions"))
        subgraphs = [definition for definition in _as_list(holder.get("subgraphs")) if isinstance(definition, dict)]
        yield from subgraphs
        waiting += subgraphs


def _last_node_id(workflow: JsonObject) -> int:
    """Return the highest node id that the file has ever used, or 0. Format 1 keeps it under `state`."""
    state = _as_object(workflow.get("state"))
    return max(to_integer(workflow.get("last_node_id")) or 0, to_integer(state.get("lastNodeId")) or 0)


def _read_graph(raw: JsonObject) -> SavedGraph:
    """Return the parsed graph of a workflow or of a subgraph's definition. Parts of a wrong type count as absent."""
    return SavedGraph(
        id=_as_text(raw.get("id")),
        nodes=list(_read_nodes(raw.get("nodes"))),
        links=list(read_links(raw.get("links"))),
        inputs=list(_read_ports(raw.get("inputs"))),
        outputs=list(_read_ports(raw.get("outputs"))),
        raw=raw,
    )


def _read_nodes(raw: Json) -> Iterator[SavedNode]:
    """Yield the nodes of a list. Entries without an id or a type are skipped."""
    for node in _as_list(raw):
        if isinstance(node, dict) and _node_id(node.get("id")) and isinstance(node.get("type"), str):
            yield read_node(node)


def read_node(node: JsonObject) -> SavedNode:
    """Return one parsed node. Its id is empty inside a group node.

    Raises CannotConvert if the node has too many inputs, outputs or values.
    """
    outputs = [_as_object(output) for output in _as_list(node.get("outputs"))]
    values, inputs = node.get("widgets_values"), _as_list(node.get("inputs"))
    if max(len(inputs), len(outputs), len(values) if isinstance(values, list | dict) else 0) > MAX_SLOTS:
        raise CannotConvert(f"node {_node_id(node.get('id'))} has more than {MAX_SLOTS} inputs, outputs or values")
    return SavedNode(
        id=_node_id(node.get("id")),
        type=_as_text(node.get("type")),
        title=_as_text(node.get("title")),
        mode=to_integer(node.get("mode")) or 0,
        inputs=[_read_slot(slot) for slot in inputs if isinstance(slot, dict)],
        outputs=[_slot_type(output.get("type")) for output in outputs],
        first_output_links=_link_ids(outputs[0].get("links")) if outputs else [],
        values=values if isinstance(values, list | dict) else None,
        properties=_as_object(node.get("properties")),
        raw=node,
    )


def _read_slot(raw: JsonObject) -> Slot:
    """Return a parsed input slot."""
    widget = _as_object(raw.get("widget")).get("name")
    return Slot(
        name=_as_text(raw.get("name")),
        type=_slot_type(raw.get("type")),
        link=to_integer(raw.get("link")),
        widget=widget if isinstance(widget, str) else None,
        label=_as_text(raw.get("label")),
    )


def _read_ports(raw: Json) -> Iterator[Port]:
    """Yield the parsed inputs or outputs of a subgraph. Entries that are not objects are skipped."""
    for port in _as_list(raw):
        if isinstance(port, dict):
            yield Port(_as_text(port.get("name")), _slot_type(port.get("type")), _link_ids(port.get("linkIds")))


def read_links(raw: Json) -> Iterator[Link]:
    """Yield the links of a list. Links without an id, a source node or a target node are skipped.

    A link is an array in format 0.4, and an object in format 1 and in every subgraph.
    """
    for link in _as_list(raw):
        match link:
            case [_, _, _, _, *_] if isinstance(link, list):
                fields = [*link, None, None]  # the target slot and the type may be absent
            case {"id": _, "origin_id": _, "target_id": _} if isinstance(link, dict):
                fields = [link.get(name) for name in _LINK_FIELDS]
            case _:
                continue
        raw_id, origin, origin_slot, target, target_slot, kind = fields[:6]
        link_id, origin_id, target_id = to_integer(raw_id), _node_id(origin), _node_id(target)
        if link_id is not None and origin_id and target_id:
            output, index = to_integer(origin_slot) or 0, to_integer(target_slot) or 0
            yield Link(link_id, origin_id, output, target_id, index, _slot_type(kind))


def _link_ids(raw: Json) -> list[int]:
    """Return the link ids in a list. Entries that are not integers are skipped."""
    numbers = [to_integer(value) for value in _as_list(raw)]
    return [number for number in numbers if number is not None]


def _node_id(raw: Json) -> str:
    """Return a node id as text, or an empty text if there is none. Most files have numbers, some have texts."""
    if isinstance(raw, str):
        return raw
    number = to_integer(raw)
    return "" if number is None else str(number)


def to_integer(raw: Json) -> int | None:
    """Return an integer that is written as a number, as a float such as 3.0, or as text.

    Return None for other values, for booleans, and for numbers beyond 2**53.
    """
    if raw is None or isinstance(raw, bool):
        return None
    if isinstance(raw, str):
        return int(raw) if _INTEGER.fullmatch(raw) else None
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    return raw if isinstance(raw, int) and abs(raw) <= MAX_INTEGER else None


def _slot_type(raw: Json) -> str:
    """Return the type of a slot as text. A list of types becomes `A,B`. A missing or invalid type becomes `*`."""
    if isinstance(raw, list):
        return ",".join(name for name in raw if isinstance(name, str))
    return raw if isinstance(raw, str) else "*"


def _as_text(raw: Json) -> str:
    """Return the value if it is a text, else an empty text."""
    return raw if isinstance(raw, str) else ""


def _as_list(raw: Json) -> list[Json]:
    """Return the value if it is a list, else an empty list."""
    return raw if isinstance(raw, list) else []


def _as_object(raw: Json) -> JsonObject:
    """Return the value if it is an object, else an empty object."""
    return raw if isinstance(raw, dict) else {}
