"""The reverse of `conversion`: a workflow file for a prompt, for nodes that read the editor's file while they run.

The file has the prompt's nodes with their ids, the values of their fields in order, and numbered links.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

from worker.extra_data import ExtraData
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor.editor_graph import MISSING, Slot, UiNode, Widget
from worker.workflow.editor.node_shape import NodeShape
from worker.workflow.editor.packs.custom_fields import inputs_of_unknown_type
from worker.workflow.editor.packs.vhs import saves_by_name
from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt

COLUMNS, WIDTH, HEIGHT = 6, 320, 320
"""The grid on which the nodes are placed. Sizes are the editor's pixels."""
MAX_OUTPUTS = 1000
"""Outputs that are written for a node of an unknown class, because a prompt may name any slot of it."""

READS_WORKFLOW = "EXTRA_PNGINFO"
"""Type of the hidden input through which a node receives the editor's workflow."""

OutputLinks = dict[tuple[str, int], list[int]]
"""Ids of the links that leave an output, by node id and slot."""


def reads_editor_workflow(prompt: Prompt, catalog: Catalog) -> bool:
    """Return whether a node of the prompt reads the editor's workflow.

    Output nodes do not count as readers, because they only write the workflow into their files.
    """
    classes = (node["class_type"] for node in prompt.values())
    readers = catalog.classes_with_hidden_input(classes, READS_WORKFLOW)
    return any(not node_class.output_node for node_class in readers)


def to_editor_file(prompt: Prompt, catalog: Catalog) -> dict[str, Any]:
    """Return the file that the editor would save for a prompt.

    In each node, inputs that its class does not declare come last, because packs add their inputs there.
    """
    nodes = {node_id: _editor_node(node_id, node, catalog) for node_id, node in prompt.items()}
    links: list[list[Json]] = []
    output_links: OutputLinks = {}
    for node_id, node in nodes.items():
        for index, slot in enumerate(node.inputs):
            source = _link_source(prompt[node_id]["inputs"].get(slot.name))
            if source is not None and source[0] in nodes:
                slot.link = len(links) + 1
                output_links.setdefault(source, []).append(slot.link)
                # A saved link is [id, source node, source slot, target node, target slot, type].
                links.append([slot.link, _saved_id(source[0]), source[1], _saved_id(node_id), index, slot.type])
    saved_nodes = [_saved_node(index, node, output_links) for index, node in enumerate(nodes.values())]
    last_node = max((saved["id"] for saved in saved_nodes if isinstance(saved["id"], int)), default=0)
    counters = {"last_node_id": last_node, "last_link_id": len(links)}
    return {**counters, "nodes": saved_nodes, "links": links, "groups": [], "config": {}, "extra": {}, "version": 0.4}


def _editor_node(node_id: str, node: Node, catalog: Catalog) -> UiNode:
    """Return a node with the slots and fields of its class, and with the values that the prompt has for them.

    Inputs that the class does not declare are added as slots if they are links, else as fields.
    """
    class_type, inputs = node["class_type"], node["inputs"]
    ui_node = UiNode(node_id, class_type)
    if class_type in catalog:
        # The editor does not know the type of such an input. One with a value must be a field that a pack adds.
        unknown = [spec.name for spec in inputs_of_unknown_type(catalog[class_type])]
        custom_fields = frozenset(name for name in unknown if name in inputs and not _link_source(inputs[name]))
        shape = NodeShape(catalog[class_type], custom_fields)
        ui_node = shape.node
        ui_node.id = node_id
        _apply_inputs(shape, inputs)
    title = node.get("_meta", {}).get("title")
    ui_node.title = title if isinstance(title, str) else ""
    declared = {slot.name for slot in ui_node.inputs} | {widget.name for widget in ui_node.widgets}
    for name, value in inputs.items():
        if name in declared:
            continue
        if _link_source(value):
            ui_node.inputs.append(Slot(name, "*"))
        else:
            ui_node.widgets.append(Widget(name, "", _unwrapped(value)))
    return ui_node


def _apply_inputs(shape: NodeShape, inputs: Mapping[str, Json]) -> None:
    """Set the fields to the values of a prompt, then add the slots that linked autogrow groups need.

    Both steps may add fields or slots, so that each loop searches for the next one that it has not handled.
    """
    handled: set[str] = set()
    while widget := next((each for each in shape.node.widgets if each.name not in handled), None):
        handled.add(widget.name)
        if widget.name in inputs and not _link_source(inputs[widget.name]):
            shape.set_value(widget, _unwrapped(inputs[widget.name]))
    handled.clear()
    while slot := next((each for each in shape.node.inputs if each.name not in handled), None):
        handled.add(slot.name)
        if slot.name in inputs:
            shape.grow(slot)


def _saved_node(index: int, node: UiNode, output_links: OutputLinks) -> dict[str, Any]:
    """Return a node as the editor saves it."""
    title = {"title": node.title} if node.title else {}
    return {
        "id": _saved_id(node.id),
        "type": node.type,
        "pos": [index % COLUMNS * WIDTH, index // COLUMNS * HEIGHT],
        "size": [WIDTH - 50, HEIGHT - 50],
        "flags": {},
        "order": index,
        "mode": 0,
        "inputs": [_saved_slot(slot) for slot in node.inputs],
        "outputs": _saved_outputs(node, output_links),
        **title,
        "properties": {"Node name for S&R": node.type},
        "widgets_values": _saved_values(node),
    }


def _saved_slot(slot: Slot) -> dict[str, Any]:
    """Return an input slot as the editor saves it."""
    field = {} if slot.widget is None else {"widget": {"name": slot.widget}}
    return {"name": slot.name, "type": slot.type, "link": slot.link, **field}


def _saved_outputs(node: UiNode, output_links: OutputLinks) -> list[dict[str, Any]]:
    """Return the outputs of a node as the editor saves them, with the ids of their links.

    There are as many as the class declares, and more if the prompt uses a higher slot.
    """
    used_slots = [slot for node_id, slot in output_links if node_id == node.id and slot < MAX_OUTPUTS]
    used_count = max(used_slots, default=-1) + 1
    names = [output.name for output in node.node_class.outputs] if node.node_class else []
    rows = zip_longest(range(max(used_count, len(names))), names, node.outputs)
    return [
        {"name": name or f"output {slot}", "type": kind or "*", "links": output_links.get((node.id, slot))}
        for slot, name, kind in rows
    ]


def _saved_values(node: UiNode) -> Json:
    """Return `widgets_values`: a list, or an object by field name for the classes of VideoHelperSuite."""
    saved = [widget for widget in node.widgets if widget.is_saved]
    if saves_by_name(node.node_class):
        return {widget.name: _saved_value(widget) for widget in saved}
    return [_saved_value(widget) for widget in saved]


def _saved_value(widget: Widget) -> Json:
    """Return the value of a field as the editor saves it. The control of a seed is saved as "fixed"."""
    if widget.kind == "control":
        return "fixed"  # so that the editor keeps the seed that ran
    return None if widget.value is MISSING else widget.value


def _link_source(value: Json) -> tuple[str, int] | None:
    """Return the node id and the slot that a link comes from, or None if the value is not a link."""
    if isinstance(value, list) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int):
        return value[0], value[1]
    return None


def _unwrapped(value: Json) -> Json:
    """Return a value without the wrapper that keeps ComfyUI from reading a list as a link."""
    return value["__value__"] if isinstance(value, dict) and "__value__" in value else value


def _saved_id(node_id: str) -> int | str:
    """Return a node id as the editor saves it: as a number.

    An id that is not a number, or has more than 15 digits, stays a text.
    """
    return int(node_id) if node_id.isascii() and node_id.isdigit() and len(node_id) <= 15 else node_id


def with_needed_workflow(extra: ExtraData, prompt: Prompt, catalog: Catalog | None) -> ExtraData:
    """Return the data beside a prompt, with a file of the editor if a node reads one and the request has none."""
    if catalog is None or extra.has_workflow or not reads_editor_workflow(prompt, catalog):
        return extra
    return extra.with_workflow(to_editor_file(prompt, catalog))
