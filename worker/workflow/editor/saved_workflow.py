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
_LINK_KEYS = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
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
    graphs = [_graph(definition) for definition in _definitions(workflow)]
    saved = SavedWorkflow(
        root=_graph(workflow),
        subgraphs=[graph for graph in graphs if graph.id],
        group_nodes=_object(_object(workflow.get("extra")).get("groupNodes")),
        last_node_id=_last_node_id(workflow),
    )
    if len(saved.root.nodes) + sum(len(graph.nodes) for graph in saved.subgraphs) > MAX_NODES:
        raise CannotConvert(f"the workflow has more than {MAX_NODES} nodes")
    return saved


def _definitions(workflow: JsonObject) -> Iterator[JsonObject]:
    """Yield the definitions of all subgraphs, including those that were saved inside another definition."""
    waiting: list[Json] = [workflow]
    while waiting:
        holder = _object(_object(waiting.pop(0)).get("definitions"))
        subgraphs = [definition for definition in _list(holder.get("subgraphs")) if isinstance(definition, dict)]
        yield from subgraphs
        waiting += subgraphs


def _last_node_id(workflow: JsonObject) -> int:
    """Return the counter of node ids, which format 1 keeps under `state`."""
    state = _object(workflow.get("state"))
    return max(to_integer(workflow.get("last_node_id")) or 0, to_integer(state.get("lastNodeId")) or 0)


def _graph(raw: JsonObject) -> SavedGraph:
    """Return the parsed workflow or subgraph."""
    return SavedGraph(
        id=_text(raw.get("id")),
        nodes=list(_nodes(raw.get("nodes"))),
        links=list(read_links(raw.get("links"))),
        inputs=list(_ports(raw.get("inputs"))),
        outputs=list(_ports(raw.get("outputs"))),
        raw=raw,
    )


def _nodes(raw: Json) -> Iterator[SavedNode]:
    """Yield the nodes that have an id and a type."""
    for node in _list(raw):
        if isinstance(node, dict) and _node_id(node.get("id")) and isinstance(node.get("type"), str):
            yield read_node(node)


def read_node(node: JsonObject) -> SavedNode:
    """Return one parsed node. Its id is empty inside a group node.

    Raises CannotConvert if the node has too many inputs, outputs or values.
    """
    outputs = [_object(output) for output in _list(node.get("outputs"))]
    values, inputs = node.get("widgets_values"), _list(node.get("inputs"))
    if max(len(inputs), len(outputs), len(values) if isinstance(values, list | dict) else 0) > MAX_SLOTS:
        raise CannotConvert(f"node {_node_id(node.get('id'))} has more than {MAX_SLOTS} inputs, outputs or values")
    return SavedNode(
        id=_node_id(node.get("id")),
        type=_text(node.get("type")),
        title=_text(node.get("title")),
        mode=to_integer(node.get("mode")) or 0,
        inputs=[_slot(slot) for slot in inputs if isinstance(slot, dict)],
        outputs=[_type(output.get("type")) for output in outputs],
        first_output_links=_ids(outputs[0].get("links")) if outputs else [],
        values=values if isinstance(values, list | dict) else None,
        properties=_object(node.get("properties")),
        raw=node,
    )


def _slot(raw: JsonObject) -> Slot:
    """Return a parsed input slot."""
    widget = _object(raw.get("widget")).get("name")
    return Slot(
        name=_text(raw.get("name")),
        type=_type(raw.get("type")),
        link=to_integer(raw.get("link")),
        widget=widget if isinstance(widget, str) else None,
        label=_text(raw.get("label")),
    )


def _ports(raw: Json) -> Iterator[Port]:
    """Yield the parsed inputs or outputs of a subgraph."""
    for port in _list(raw):
        if isinstance(port, dict):
            yield Port(_text(port.get("name")), _type(port.get("type")), _ids(port.get("linkIds")))


def read_links(raw: Json) -> Iterator[Link]:
    """Yield the links, which are arrays in format 0.4 and objects in format 1 and in every subgraph."""
    for link in _list(raw):
        match link:
            case [_, _, _, _, *_] if isinstance(link, list):
                row = [*link[:6], None, None][:6]
            case {"id": _, "origin_id": _, "target_id": _} if isinstance(link, dict):
                row = [link.get(key) for key in _LINK_KEYS]
            case _:
                continue
        link_id, origin, target = to_integer(row[0]), _node_id(row[1]), _node_id(row[3])
        if link_id is not None and origin and target:
            yield Link(link_id, origin, to_integer(row[2]) or 0, target, to_integer(row[4]) or 0, _type(row[5]))


def _ids(raw: Json) -> list[int]:
    """Return the link ids in a list."""
    return [number for value in _list(raw) if (number := to_integer(value)) is not None]


def _node_id(raw: Json) -> str:
    """Return a node id as text. Most files have numbers, some have texts. An empty text means no id."""
    if isinstance(raw, str):
        return raw
    number = to_integer(raw)
    return "" if number is None else str(number)


def to_integer(raw: Json) -> int | None:
    """Return an integer that is written as a number, as a float such as 3.0, or as text. Return None for the rest."""
    if type(raw) is int and -MAX_INTEGER <= raw <= MAX_INTEGER:
        return raw
    if raw is None:
        return None
    if isinstance(raw, str) and _INTEGER.fullmatch(raw):
        return int(raw)
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    if isinstance(raw, bool) or not isinstance(raw, int) or abs(raw) > MAX_INTEGER:
        return None
    return raw


def _type(raw: Json) -> str:
    """Return the type of a slot as text. A list of types becomes `A,B`, anything else `*`."""
    if isinstance(raw, list):
        return ",".join(name for name in raw if isinstance(name, str))
    return raw if isinstance(raw, str) else "*"


def _text(raw: Json) -> str:
    """Return a text, or an empty one for other types."""
    return raw if isinstance(raw, str) else ""


def _list(raw: Json) -> list[Json]:
    """Return a list, or an empty one for other types."""
    return raw if isinstance(raw, list) else []


def _object(raw: Json) -> JsonObject:
    """Return an object, or an empty one for other types."""
    return raw if isinstance(raw, dict) else {}
