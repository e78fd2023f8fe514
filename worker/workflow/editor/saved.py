"""The file as the editor saves it, read with tolerance: what is not what it should be is taken for not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.errors import CannotConvert
from worker.workflow.editor.editor_graph import Link, Port, Slot
from worker.workflow.json_value import Json, JsonObject
from worker.workflow.prompt import is_ui

MOST_NODES = 5_000
MOST_SLOTS = 2_000
HIGHEST = 2**53
_LINK = ("id", "origin_id", "origin_slot", "target_id", "target_slot", "type")
_NUMBER = re.compile(r"-?[0-9]{1,15}")


@dataclass(slots=True)
class SavedNode:
    """One node of the file."""

    id: str
    type: str
    title: str
    mode: int
    inputs: list[Slot]
    outputs: list[str]
    fed: list[int]
    values: Json
    properties: JsonObject
    written: JsonObject = field(default_factory=dict)
    """The node as the file has it."""


@dataclass(slots=True)
class SavedGraph:
    """The workflow itself, or the definition of one subgraph."""

    id: str
    nodes: list[SavedNode]
    links: list[Link]
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    written: JsonObject = field(default_factory=dict)
    """The graph as the file has it."""


@dataclass(slots=True)
class SavedWorkflow:
    """A file: its graph, its subgraphs, the group nodes of older editors, and the highest id that it has used."""

    root: SavedGraph
    subgraphs: list[SavedGraph]
    group_nodes: JsonObject
    last_node_id: int


def read_workflow(workflow: object) -> SavedWorkflow:
    """Raises CannotConvert for anything that `is_ui` doesn't take, and for files too large to be meant."""
    if not isinstance(workflow, dict) or not is_ui(workflow):
        raise CannotConvert("this is not a workflow as the editor saves it: no lists of nodes and links")
    graphs = [_graph(one) for one in _definitions(workflow)]
    saved = SavedWorkflow(
        root=_graph(workflow),
        subgraphs=[graph for graph in graphs if graph.id],
        group_nodes=_object(_object(workflow.get("extra")).get("groupNodes")),
        last_node_id=_last_node_id(workflow),
    )
    if len(saved.root.nodes) + sum(len(graph.nodes) for graph in saved.subgraphs) > MOST_NODES:
        raise CannotConvert(f"the workflow has more than {MOST_NODES} nodes")
    return saved


def _definitions(workflow: JsonObject) -> Iterator[JsonObject]:
    """The subgraphs of a workflow, and those that were saved inside one of them."""
    waiting: list[Json] = [workflow]
    while waiting:
        holder = _object(_object(waiting.pop(0)).get("definitions"))
        inner = [one for one in _list(holder.get("subgraphs")) if isinstance(one, dict)]
        yield from inner
        waiting += inner


def _last_node_id(workflow: JsonObject) -> int:
    state = _object(workflow.get("state"))
    return max(whole(workflow.get("last_node_id")) or 0, whole(state.get("lastNodeId")) or 0)


def _graph(written: JsonObject) -> SavedGraph:
    return SavedGraph(
        id=_text(written.get("id")),
        nodes=list(_nodes(written.get("nodes"))),
        links=list(read_links(written.get("links"))),
        inputs=list(_ports(written.get("inputs"))),
        outputs=list(_ports(written.get("outputs"))),
        written=written,
    )


def _nodes(written: Json) -> Iterator[SavedNode]:
    for node in _list(written):
        if isinstance(node, dict) and _node_id(node.get("id")) and isinstance(node.get("type"), str):
            yield read_node(node)


def read_node(node: JsonObject) -> SavedNode:
    """One node, whose id may be missing (in a group node). Raises CannotConvert where it is too large to be meant."""
    outputs = [_object(output) for output in _list(node.get("outputs"))]
    values, inputs = node.get("widgets_values"), _list(node.get("inputs"))
    if max(len(inputs), len(outputs), len(values) if isinstance(values, list | dict) else 0) > MOST_SLOTS:
        raise CannotConvert(f"node {_node_id(node.get('id'))} has more than {MOST_SLOTS} inputs, outputs or values")
    return SavedNode(
        id=_node_id(node.get("id")),
        type=_text(node.get("type")),
        title=_text(node.get("title")),
        mode=whole(node.get("mode")) or 0,
        inputs=[_slot(one) for one in inputs if isinstance(one, dict)],
        outputs=[_type(output.get("type")) for output in outputs],
        fed=_ids(outputs[0].get("links")) if outputs else [],
        values=values if isinstance(values, list | dict) else None,
        properties=_object(node.get("properties")),
        written=node,
    )


def _slot(written: JsonObject) -> Slot:
    widget = _object(written.get("widget")).get("name")
    return Slot(
        name=_text(written.get("name")),
        type=_type(written.get("type")),
        link=whole(written.get("link")),
        widget=widget if isinstance(widget, str) else None,
        label=_text(written.get("label")),
    )


def _ports(written: Json) -> Iterator[Port]:
    for port in _list(written):
        if isinstance(port, dict):
            yield Port(_text(port.get("name")), _type(port.get("type")), _ids(port.get("linkIds")))


def read_links(written: Json) -> Iterator[Link]:
    """Links as arrays (format 0.4) or as objects (format 1, and every subgraph)."""
    for link in _list(written):
        match link:
            case [_, _, _, _, *_] if isinstance(link, list):
                row = [*link[:6], None, None][:6]
            case {"id": _, "origin_id": _, "target_id": _} if isinstance(link, dict):
                row = [link.get(key) for key in _LINK]
            case _:
                continue
        link_id, origin, target = whole(row[0]), _node_id(row[1]), _node_id(row[3])
        if link_id is not None and origin and target:
            yield Link(link_id, origin, whole(row[2]) or 0, target, whole(row[4]) or 0, _type(row[5]))


def _ids(written: Json) -> list[int]:
    return [number for one in _list(written) if (number := whole(one)) is not None]


def _node_id(written: Json) -> str:
    """Ids are numbers, and texts in some files."""
    if isinstance(written, str):
        return written
    number = whole(written)
    return "" if number is None else str(number)


def whole(written: Json) -> int | None:
    """A whole number, however it is written."""
    if type(written) is int and -HIGHEST <= written <= HIGHEST:
        return written
    if written is None:
        return None
    if isinstance(written, str) and _NUMBER.fullmatch(written):
        return int(written)
    if isinstance(written, float) and written.is_integer():
        written = int(written)
    whole = isinstance(written, int) and not isinstance(written, bool) and abs(written) <= HIGHEST
    return int(written) if whole and isinstance(written, int) else None


def _type(written: Json) -> str:
    if isinstance(written, list):
        return ",".join(one for one in written if isinstance(one, str))
    return written if isinstance(written, str) else "*"


def _text(written: Json) -> str:
    return written if isinstance(written, str) else ""


def _list(written: Json) -> list[Json]:
    return written if isinstance(written, list) else []


def _object(written: Json) -> JsonObject:
    return written if isinstance(written, dict) else {}
