"""VideoHelperSuite: its script saves values by field name, and it reads the files of its older versions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.node_class import NodeClass
from worker.workflow.editor.editor_graph import MISSING, BrowserNode, Graph, UiNode, Widget
from worker.workflow.editor.field_values import set_field_values
from worker.workflow.editor.node_shape import NodeShape
from worker.workflow.editor.packs.pack_rules import PackRules
from worker.workflow.editor.packs.vhs_fields import COMBINE, FormatFields
from worker.workflow.editor.saved_workflow import SavedNode
from worker.workflow.editor.unused_values import is_display_only
from worker.workflow.json_value import Json, JsonObject

_LOAD_FIELDS = ("video", "force_rate", "force_size", "frame_load_cap", "skip_first_frames", "select_every_nth")
_OLD_LISTS: Final = {
    "VHS_LoadImages": ("directory", "", "image_load_cap", "skip_first_images", "select_every_nth"),
    "VHS_LoadImagesPath": ("directory", "image_load_cap", "skip_first_images", "select_every_nth"),
    COMBINE: ("frame_rate", "loop_count", "filename_prefix", "format", "pingpong", "save_image"),
    "VHS_LoadVideo": _LOAD_FIELDS,
    "VHS_LoadVideoPath": _LOAD_FIELDS,
}
"""The fields in the value lists of old files, by class. An empty name is a button."""
_OLD_FIELD_NAMES: Final = {COMBINE: {"save_output": "save_image"}}
_OLD_SLOT_NAMES: Final = {"batch_manager": "meta_batch"}
_OLD_FIELDS: Final = ("force_size", "save_image")
_SELECT_LATEST, _MANAGER = "VHS_SelectLatest", "VHS_BatchManager"
_SIZE = re.compile(r"\s*([+-]?\d{1,15})")
_FIELD_NAME = re.compile(r"[a-z][a-z0-9_]*")
_BUTTON = "upload"


def saves_by_name(node_class: NodeClass | None) -> bool:
    """Return whether the values of a class are saved by field name, by the pack's script."""
    return node_class is not None and node_class.name.startswith("VHS_")


def _rewrite_node(saved: SavedNode, catalog: Catalog) -> None:
    """Rename the slots of a VideoHelperSuite node that had another name in older versions."""
    if saved.type.startswith("VHS_"):
        for slot in saved.inputs:
            slot.name = _OLD_SLOT_NAMES.get(slot.name, slot.name)


def _set_values(shape: NodeShape, saved: SavedNode) -> bool:
    """Set the fields of a VideoHelperSuite node from values by name, or from the lists of old files.

    Return False for nodes of other packs.
    """
    node, values = shape.node, saved.values
    if not saves_by_name(node.node_class):
        return False
    if node.type == _SELECT_LATEST:  # its script finds a file in the browser, so that the node is never sent
        node.browser = BrowserNode()
    if node.type == _MANAGER:
        node.widgets.append(Widget("count", "number", 0))
    fields = FormatFields(node)
    if isinstance(values, dict):
        for widget in node.widgets:
            widget.value = MISSING
        _apply(node, fields, _with_sizes(values))
    elif isinstance(values, list):
        set_field_values(shape, saved)
        names = _OLD_LISTS.get(node.type, ())
        if names and len(values) >= len(names):  # a list of an old version, whose fields had another order
            node.warnings.clear()
            values_by_name = {name: value for name, value in zip(names, values, strict=False) if name}
            _apply(node, fields, _with_sizes(values_by_name))
    return True


def _apply(node: UiNode, fields: FormatFields, values: JsonObject) -> None:
    """Set the fields of a node to values by name, and warn about values for which there is no field.

    A field that the file does not name gets its default, unless that is 0 or false.
    """
    old_names, index = _OLD_FIELD_NAMES.get(node.type, {}), 0
    while index < len(node.widgets):  # setting the format may add more fields after it
        widget = node.widgets[index]
        index += 1
        name = widget.name if widget.name in values else old_names.get(widget.name, "")
        if name in values:
            fields.set(widget, values[name])
        elif default := _default(node, widget):
            fields.set(widget, default)
    if node.type == COMBINE and not fields.has_formats:
        _add_undeclared_fields(node, values)
    expected = {*_OLD_FIELDS, *fields.names, *(widget.name for widget in node.widgets)}
    for name, value in values.items():
        is_preview = isinstance(value, dict)  # parameters of the video that the node shows
        if name not in expected and not is_preview and not is_display_only(value):
            node.warn(f"no input takes the value that the file has for {name!r}: {value!r:.60}")


def _default(node: UiNode, widget: Widget) -> Json:
    """Return the default that the class of a node declares for a field, else its first choice, else None."""
    spec = node.node_class.by_name.get(widget.name) if node.node_class else None
    return (spec.default or next(iter(spec.options or ()), None)) if spec else None


def _add_undeclared_fields(node: UiNode, values: JsonObject) -> None:
    """Add a field for each value of the file that no field takes and that may belong to a video format.

    Older versions of the pack do not declare the fields of their formats in the catalog.
    """
    declared = {widget.name for widget in node.widgets}
    for name, value in values.items():
        is_field = isinstance(value, str | int | float) and name != _BUTTON
        if is_field and name not in declared and _FIELD_NAME.fullmatch(name):
            node.widgets.append(Widget(name, "format", value))


def _with_sizes(values: JsonObject) -> JsonObject:
    """Return the values with `custom_width` and `custom_height` in place of the older `force_size`.

    That field had a text such as "512x?", or the name of the side that counts. The other side becomes 0, which means
    that it follows from the image.
    """
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
    """Return one side of a size in pixels. "?" means 0, which leaves the side open. Return None for other texts."""
    number = _SIZE.match(text)
    return 0 if text == "?" else int(number[1]) if number else None


def _add_links(graphs: Sequence[Graph]) -> None:
    """Warn about fields that are linked to a node which finds the newest file in the browser.

    No links are added. The rule runs in this step because it needs the loaded graphs.
    """
    message = f"{_SELECT_LATEST} finds its file in the browser: the saved value of this field is sent"
    for graph in graphs:
        selectors = {node.id for node in graph.nodes.values() if node.type == _SELECT_LATEST and node.browser}
        if not selectors:
            continue
        for node in graph.nodes.values():
            for slot in node.inputs:
                link = graph.links.get(slot.link) if slot.link is not None else None
                if link and link.origin in selectors:
                    node.warn(message, slot.name)


VHS: Final = PackRules("VideoHelperSuite", rewrite_node=_rewrite_node, set_values=_set_values, add_links=_add_links)
