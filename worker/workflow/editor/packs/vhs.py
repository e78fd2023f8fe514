"""VideoHelperSuite: its script saves values by the names of their fields, and reads what its older versions saved."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.editor.editor_graph import MISSING, BrowserNode, Graph, UiNode, Widget
from worker.workflow.editor.left_values import is_decoration
from worker.workflow.editor.packs.pack import Pack
from worker.workflow.editor.packs.vhs_fields import COMBINE, FormatFields
from worker.workflow.editor.saved import SavedNode
from worker.workflow.editor.shape import Shape
from worker.workflow.editor.values import give_values
from worker.workflow.json_value import Json, JsonObject

_LOADED = ("video", "force_rate", "force_size", "frame_load_cap", "skip_first_frames", "select_every_nth")
_LISTS: Final = {
    "VHS_LoadImages": ("directory", "", "image_load_cap", "skip_first_images", "select_every_nth"),
    "VHS_LoadImagesPath": ("directory", "image_load_cap", "skip_first_images", "select_every_nth"),
    COMBINE: ("frame_rate", "loop_count", "filename_prefix", "format", "pingpong", "save_image"),
    "VHS_LoadVideo": _LOADED,
    "VHS_LoadVideoPath": _LOADED,
}
"""What the lists of old files hold, by class; a button has no name."""
_FORMER_NAMES: Final = {COMBINE: {"save_output": "save_image"}}
_FORMER_SLOTS: Final = {"batch_manager": "meta_batch"}
_FORMER_FIELDS: Final = ("force_size", "save_image")
_NEWEST, _MANAGER = "VHS_SelectLatest", "VHS_BatchManager"
_SIZE = re.compile(r"\s*([+-]?\d{1,15})")
_A_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BUTTON = "upload"


def saves_by_name(node_class: NodeClass | None) -> bool:
    """Whether the pack's script saves the values of this class."""
    return node_class is not None and node_class.name.startswith("VHS_")


def _read(saved: SavedNode, catalog: Catalog) -> None:
    if saved.type.startswith("VHS_"):
        for slot in saved.inputs:
            slot.name = _FORMER_SLOTS.get(slot.name, slot.name)


def _give(shape: Shape, saved: SavedNode) -> bool:
    node, values = shape.node, saved.values
    if not saves_by_name(node.node_class):
        return False
    if node.type == _NEWEST:
        node.browser = BrowserNode()
    if node.type == _MANAGER:
        node.widgets.append(Widget("count", "number", 0))
    fields = FormatFields(node)
    if isinstance(values, dict):
        for widget in node.widgets:
            widget.value = MISSING
        _restore(node, fields, _with_sizes(values))
    elif isinstance(values, list):
        give_values(shape, saved)
        names = _LISTS.get(node.type, ())
        if names and len(values) >= len(names):
            node.warnings.clear()
            named = {name: value for name, value in zip(names, values, strict=False) if name}
            _restore(node, fields, _with_sizes(named))
    return True


def _restore(node: UiNode, fields: FormatFields, values: JsonObject) -> None:
    """Set the fields in their order; a field that the file doesn't name gets its default, unless that is 0 or false."""
    former, place = _FORMER_NAMES.get(node.type, {}), 0
    while place < len(node.widgets):
        widget = node.widgets[place]
        place += 1
        name = widget.name if widget.name in values else former.get(widget.name, "")
        if name in values:
            fields.set(widget, values[name])
        elif default := _default(node, widget):
            fields.set(widget, default)
    if node.type == COMBINE and not fields.known:
        _add_unknown(node, values)
    known = {*_FORMER_FIELDS, *fields.names, *(widget.name for widget in node.widgets)}
    for name, value in values.items():
        if name not in known and not isinstance(value, dict) and not is_decoration(value):
            node.warn(f"no input takes the value that the file has for {name!r}: {value!r:.60}")


def _default(node: UiNode, widget: Widget) -> Json:
    spec = node.node_class.by_name.get(widget.name) if node.node_class else None
    return (spec.default or next(iter(spec.options or ()), None)) if spec else None


def _add_unknown(node: UiNode, values: JsonObject) -> None:
    """Keep the fields of a format that an older version of the pack doesn't tell."""
    known = {widget.name for widget in node.widgets}
    for name, value in values.items():
        plain = isinstance(value, str | int | float) and name != _BUTTON
        if plain and name not in known and _A_NAME.fullmatch(name):
            node.widgets.append(Widget(name, "format", value))


def _with_sizes(values: JsonObject) -> JsonObject:
    """Replace `force_size`, from before width and height had fields of their own: "512x?", or which of them counts."""
    size = values.get("force_size")
    if not isinstance(size, str):
        return values
    if "x" in size:
        width, height = size.split("x")[:2]
        return {**values, "custom_width": _side(width), "custom_height": _side(height)}
    unused: dict[str, Json] = {}
    if size in ("Disabled", "Custom Height"):
        unused["custom_width"] = 0
    if size in ("Disabled", "Custom Width"):
        unused["custom_height"] = 0
    return {**values, **unused}


def _side(text: str) -> int | None:
    number = _SIZE.match(text)
    return 0 if text == "?" else int(number[1]) if number else None


def _link(graphs: Sequence[Graph]) -> None:
    """Tell which fields hold the file that was the newest when the workflow was saved."""
    for graph in graphs:
        newest = {node.id for node in graph.nodes.values() if node.type == _NEWEST and node.browser}
        for node in graph.nodes.values() if newest else ():
            for slot in node.inputs:
                link = graph.links.get(slot.link) if slot.link is not None else None
                if link and link.origin in newest:
                    node.warn(f"{_NEWEST} finds its file in the browser: what was saved here is sent", slot.name)


VHS: Final = Pack("VideoHelperSuite", read=_read, give=_give, link=_link)
