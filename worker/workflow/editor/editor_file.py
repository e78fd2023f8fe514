"""The file that the editor would save of an API prompt that was opened in it, for nodes that look for themselves there.

The way back from `conversion`: nodes with their ids, the values of their fields in order, and links with numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_graph import MISSING, Slot, UiNode, Widget
from worker.workflow.editor.packs.custom_fields import of_unknown_type
from worker.workflow.editor.packs.vhs import saves_by_name
from worker.workflow.editor.shape import Shape
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt

COLUMNS, WIDTH, HEIGHT = 6, 320, 320
"""A plain grid: nobody placed these nodes. Sizes are the editor's pixels."""
MOST_OUTPUTS = 1000
"""A client may name any slot of a class that is not known."""

Fed = dict[tuple[str, int], list[int]]
"""Numbers of the links that leave an output, by node id and slot."""


def to_editor_file(prompt: Prompt, catalog: Catalog) -> dict[str, Any]:
    """Return what the editor would save. Inputs that a class does not declare come last, where packs add theirs."""
    nodes = {node_id: _node(node_id, node, catalog) for node_id, node in prompt.items()}
    links: list[list[Json]] = []
    fed: Fed = {}
    for node_id, node in nodes.items():
        for place, slot in enumerate(node.inputs):
            source = _source(prompt[node_id]["inputs"].get(slot.name))
            if source is not None and source[0] in nodes:
                slot.link = len(links) + 1
                fed.setdefault(source, []).append(slot.link)
                links.append([slot.link, _id(source[0]), source[1], _id(node_id), place, slot.type])
    written = [_written(place, node, fed) for place, node in enumerate(nodes.values())]
    last_node = max((one["id"] for one in written if isinstance(one["id"], int)), default=0)
    counters = {"last_node_id": last_node, "last_link_id": len(links)}
    return {**counters, "nodes": written, "links": links, "groups": [], "config": {}, "extra": {}, "version": 0.4}


def _node(node_id: str, node: Node, catalog: Catalog) -> UiNode:
    """The node with its slots and fields, and the values that the prompt has for these."""
    name = node["class_type"]
    found = UiNode(node_id, name)
    if name in catalog:
        unknown = of_unknown_type(catalog[name])
        fields = (
            spec.name for spec in unknown if spec.name in node["inputs"] and not _source(node["inputs"][spec.name])
        )
        shape = Shape(catalog[name], frozenset(fields))
        found = shape.node
        found.id = node_id
        _give(shape, node["inputs"])
    title = node.get("_meta", {}).get("title")
    found.title = title if isinstance(title, str) else ""
    named = {slot.name for slot in found.inputs} | {widget.name for widget in found.widgets}
    for key, value in node["inputs"].items():
        if key in named:
            continue
        if _source(value):
            found.inputs.append(Slot(key, "*"))
        else:
            found.widgets.append(Widget(key, "", _plain(value)))
    return found


def _give(shape: Shape, given: Mapping[str, Json]) -> None:
    """Set the fields and open the slots. A field may add more behind it, and a filled slot of a group the next one."""
    done: set[str] = set()
    while widget := next((one for one in shape.node.widgets if one.name not in done), None):
        done.add(widget.name)
        if widget.name in given and not _source(given[widget.name]):
            shape.set_value(widget, _plain(given[widget.name]))
    done.clear()
    while slot := next((one for one in shape.node.inputs if one.name not in done), None):
        done.add(slot.name)
        if slot.name in given:
            shape.grow(slot)


def _written(place: int, node: UiNode, fed: Fed) -> dict[str, Any]:
    title = {"title": node.title} if node.title else {}
    return {
        "id": _id(node.id),
        "type": node.type,
        "pos": [place % COLUMNS * WIDTH, place // COLUMNS * HEIGHT],
        "size": [WIDTH - 50, HEIGHT - 50],
        "flags": {},
        "order": place,
        "mode": 0,
        "inputs": [_slot(slot) for slot in node.inputs],
        "outputs": _outputs(node, fed),
        **title,
        "properties": {"Node name for S&R": node.type},
        "widgets_values": _values(node),
    }


def _slot(slot: Slot) -> dict[str, Any]:
    field = {} if slot.widget is None else {"widget": {"name": slot.widget}}
    return {"name": slot.name, "type": slot.type, "link": slot.link, **field}


def _outputs(node: UiNode, fed: Fed) -> list[dict[str, Any]]:
    """Those of the class; of a class that is not known, as many as are used."""
    used = max((slot + 1 for node_id, slot in fed if node_id == node.id and slot < MOST_OUTPUTS), default=0)
    names = [output.name for output in node.node_class.outputs] if node.node_class else []
    pairs = zip_longest(range(max(used, len(names))), names, node.outputs)
    return [
        {"name": name or f"output {slot}", "type": kind or "*", "links": fed.get((node.id, slot))}
        for slot, name, kind in pairs
    ]


def _values(node: UiNode) -> Json:
    saved = [widget for widget in node.widgets if widget.saved]
    if saves_by_name(node.node_class):
        return {widget.name: _value(widget) for widget in saved}
    return [_value(widget) for widget in saved]


def _value(widget: Widget) -> Json:
    if widget.kind == "control":
        return "fixed"  # the value of the prompt is the one that ran
    return None if widget.value is MISSING else widget.value


def _source(value: Json) -> tuple[str, int] | None:
    """Node and slot of a link."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int):
        return value[0], value[1]
    return None


def _plain(value: Json) -> Json:
    """A list stands wrapped in a prompt, so that it is not taken for a link."""
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value


def _id(node_id: str) -> int | str:
    """The editor counts its nodes; any other id stays text, also a number that no JavaScript reads exactly."""
    return int(node_id) if node_id.isascii() and node_id.isdigit() and len(node_id) <= 15 else node_id
