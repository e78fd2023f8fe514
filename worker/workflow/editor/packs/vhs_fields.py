"""Fields of VideoHelperSuite: they round their values, and a chosen format changes them or adds others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from worker.workflow.catalog.node_class import InputSpec, Presence, read_input
from worker.workflow.editor.editor_graph import MISSING, Slot, UiNode, Value, Widget
from worker.workflow.editor.fields import fields_for
from worker.workflow.editor.javascript import round_half_up, to_js_number
from worker.workflow.editor.primitives import NumberField, number_field
from worker.workflow.json_value import Json, JsonObject

COMBINE = "VHS_VideoCombine"
FORMAT = "format"

_BY_FORMAT = {"force_rate": "target_rate", "custom_width": "dim", "custom_height": "dim", "frame_load_cap": "frames"}
"""Fields of video loaders that a format changes, and the key of the change in the format."""


class FormatFields:
    """The fields of one node, which are set one after another as the pack's script does."""

    def __init__(self, node: UiNode) -> None:
        self._node = node
        self._format_fields: list[Widget] = []
        self._set_by_file: dict[str, Value] = {}
        self._format_values: dict[str, Json] = {}
        self._format = next((widget for widget in node.widgets if widget.name == FORMAT), None)
        for widget in node.widgets:
            self._set_rounding(widget, {})
        if self._format and node.type != COMBINE:
            self._change_loader(_loader_changes(self._formats().get(str(self._format.value))), reset=False)

    @property
    def has_formats(self) -> bool:
        """Whether the class declares the fields of its formats, as the pack has done since 2024."""
        return bool(self._formats())

    @property
    def names(self) -> frozenset[str]:
        """The names of the fields of all formats. Only those of the chosen format are sent."""
        rows = [row for rows in self._formats().values() if isinstance(rows, list) for row in rows]
        return frozenset(str(row[0]) for row in rows if isinstance(row, list) and row)

    def set(self, widget: Widget, value: Value) -> None:
        """Set the value of a field. If it is the format, change the fields that depend on it."""
        self._set_by_file[widget.name] = value
        widget.value = value if widget.converter is None else widget.converter(value)
        if widget is not self._format:
            return
        chosen = self._formats().get(value) if isinstance(value, str) else None
        if self._node.type == COMBINE:
            self._replace_format_fields(chosen)
        elif isinstance(chosen, dict):
            self._change_loader(_loader_changes(chosen), reset=True)

    def _formats(self) -> JsonObject:
        """Return the formats that the class declares, by name."""
        spec = self._format.spec if self._format else None
        formats = spec.config[1].get("formats") if spec else None
        return formats if isinstance(formats, dict) else {}

    def _replace_format_fields(self, rows: Json) -> None:
        """Replace the fields of the former format by those of the chosen one, directly behind the format."""
        node = self._node
        kept = [widget for widget in node.widgets if all(widget is not old for old in self._format_fields)]
        self._format_fields = [widget for spec in _specs(rows) for widget in fields_for(spec)]
        for widget in self._format_fields:
            if number := number_field(widget.spec):
                widget.converter = partial(_converted_number, number)
        position = next(index for index, widget in enumerate(kept) if widget is self._format) + 1
        node.widgets = [*kept[:position], *self._format_fields, *kept[position:]]
        for widget in self._format_fields:
            if node.slot(widget.name) is None:
                node.inputs.append(Slot(widget.name, widget.spec.type if widget.spec else "*", widget=widget.name))

    def _change_loader(self, changes: dict[str, JsonObject], *, reset: bool) -> None:
        """Apply the rounding of a format. A field that holds the former format's own value gets that of the new one."""
        for widget in self._node.widgets:
            if widget.name not in _BY_FORMAT or widget.spec is None:
                continue
            old_value, change = self._format_values.get(widget.name), changes.get(widget.name, {})
            self._format_values[widget.name] = new_value = change.get("reset")
            self._set_rounding(widget, change)
            if not reset or widget.value is MISSING:
                continue
            value = widget.value if change else self._set_by_file.get(widget.name, widget.value)
            if None not in (old_value, new_value) and _is_same_number(value, old_value):
                value = new_value
            widget.value = value if widget.converter is None else widget.converter(value)

    def _set_rounding(self, widget: Widget, change: JsonObject) -> None:
        """Let a number field round by its own options and a format's changes to them."""
        spec = widget.spec
        if spec and spec.type in ("INT", "FLOAT") and "widgetType" not in spec.config[1]:
            convert = _converted_int if spec.type == "INT" else _converted_float
            widget.converter = partial(convert, {**spec.config[1], **change})


def _loader_changes(chosen: Json) -> dict[str, JsonObject]:
    """Return the changes that a format makes to the fields of a video loader, by field."""
    chosen = chosen if isinstance(chosen, dict) else {}
    changes: dict[str, JsonObject] = {}
    for name, key in _BY_FORMAT.items():
        match key, chosen.get(key):
            case "target_rate", int() | float() as rate:
                changes[name] = {"reset": rate}
            case "dim", [step, shift, *sizes]:
                changes[name] = {"step": step, "mod": shift}
                size = sizes[name == "custom_height" :][:1]
                changes[name] |= {"reset": size[0]} if size else {}
            case "frames", [step, shift, *_]:
                changes[name] = {"step": step, "mod": shift}
    return changes


def _specs(rows: Json) -> Iterator[InputSpec]:
    """Yield the fields of a video format, each of which is declared as `[name, type, options]`."""
    for row in rows if isinstance(rows, list) else []:
        match row:
            case [str(name), *definition]:
                spec = read_input(name, Presence.REQUIRED, definition)
                if spec:
                    yield spec


def _converted_int(options: JsonObject, value: Value) -> Value:
    """Return a number rounded to the step of its field. 0 means that the field is not used, so that it stays 0.

    For a field without a step the script computes NaN, which no server accepts. Here the file's number stays.
    """
    if value is MISSING:
        return value
    number = to_js_number(value)
    if number is None:
        return None
    number = _clamp(options, number)
    step, shift = _option(options, "step"), _option(options, "mod") or 0.0
    is_unused = number == 0 and value is not None
    return number if is_unused or not step else round_half_up((number - shift) / step) * step + shift


def _is_same_number(value: Value, other: Json) -> bool:
    """Return whether two values are the same number in JavaScript."""
    return value is not MISSING and to_js_number(value) == to_js_number(other)


def _converted_number(number: NumberField, value: Value) -> Value:
    """Return a value rounded by the options of a number field."""
    return value if value is MISSING else number.converted(value)


def _converted_float(options: JsonObject, value: Value) -> Value:
    """Return a number limited to the maximum of its field."""
    high = _option(options, "max")
    number = None if value is MISSING or isinstance(value, str) else to_js_number(value)
    return high if high and number is not None and number > high else value


def _clamp(options: JsonObject, number: float) -> float:
    """Return a number limited to the range of its field."""
    low, high = _option(options, "min"), _option(options, "max")
    number = high if high and number > high else number
    return low if low and number < low else number


def _option(options: JsonObject, name: str) -> float | None:
    """Return an option of a field as a number."""
    value = options.get(name)
    return float(value) if isinstance(value, int | float) else None
