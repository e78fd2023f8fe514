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

_CHANGED_BY_FORMAT = {
    "force_rate": "target_rate",
    "custom_width": "dim",
    "custom_height": "dim",
    "frame_load_cap": "frames",
}
"""Fields of video loaders that a format changes, and the key of the change in the format."""


class FormatFields:
    """The fields of one VideoHelperSuite node, which are set one after another as the pack's script does.

    One field may choose a format. It changes how other fields round, or adds fields.
    """

    def __init__(self, node: UiNode) -> None:
        self._node = node
        self._format_fields: list[Widget] = []
        self._set_by_file: dict[str, Value] = {}
        self._values_of_format: dict[str, Json] = {}
        self._format_field = next((widget for widget in node.widgets if widget.name == FORMAT), None)
        for widget in node.widgets:
            self._set_converter(widget, {})
        if self._format_field and node.type != COMBINE:
            self._change_loader_fields(_loader_changes(self._formats().get(str(self._format_field.value))), reset=False)

    @property
    def has_formats(self) -> bool:
        """Whether the class declares the fields of its formats, as the pack has done since 2024."""
        return bool(self._formats())

    @property
    def names(self) -> frozenset[str]:
        """The names of the fields of all formats, chosen or not."""
        rows = [row for rows in self._formats().values() if isinstance(rows, list) for row in rows]
        return frozenset(str(row[0]) for row in rows if isinstance(row, list) and row)

    def set(self, widget: Widget, value: Value) -> None:
        """Set a field to a value, rounded as the field does it.

        The format also changes the fields that depend on it.
        """
        self._set_by_file[widget.name] = value
        widget.value = value if widget.converter is None else widget.converter(value)
        if widget is not self._format_field:
            return
        chosen = self._formats().get(value) if isinstance(value, str) else None
        if self._node.type == COMBINE:
            self._replace_format_fields(chosen)
        elif isinstance(chosen, dict):
            self._change_loader_fields(_loader_changes(chosen), reset=True)

    def _formats(self) -> JsonObject:
        """Return what each format adds or changes, by the name of the format, or an empty object without formats."""
        spec = self._format_field.spec if self._format_field else None
        formats = spec.config[1].get("formats") if spec else None
        return formats if isinstance(formats, dict) else {}

    def _replace_format_fields(self, rows: Json) -> None:
        """Replace the fields of the former format by those of the chosen one, directly after the format.

        `rows` are the declarations of the new fields. Each new field gets a slot.
        """
        node = self._node
        others = [widget for widget in node.widgets if all(widget is not old for old in self._format_fields)]
        self._format_fields = [widget for spec in _format_inputs(rows) for widget in fields_for(spec)]
        for widget in self._format_fields:
            if number := number_field(widget.spec):
                widget.converter = partial(_converted_number, number)
        position = next(index for index, widget in enumerate(others) if widget is self._format_field) + 1
        node.widgets = [*others[:position], *self._format_fields, *others[position:]]
        for widget in self._format_fields:
            if node.slot(widget.name) is None:
                node.inputs.append(Slot(widget.name, widget.spec.type if widget.spec else "*", widget=widget.name))

    def _change_loader_fields(self, changes: dict[str, JsonObject], *, reset: bool) -> None:
        """Change how the fields of a video loader round, for the chosen format.

        With `reset` the values are rounded again. A field that holds the value of the former format then gets that of
        the chosen one. A field that the chosen format does not change gets the value of the file back.
        """
        for widget in self._node.widgets:
            if widget.name not in _CHANGED_BY_FORMAT or widget.spec is None:
                continue
            change = changes.get(widget.name, {})
            old_value, new_value = self._values_of_format.get(widget.name), change.get("reset")
            self._values_of_format[widget.name] = new_value
            self._set_converter(widget, change)
            if not reset or widget.value is MISSING:
                continue
            value = widget.value if change else self._set_by_file.get(widget.name, widget.value)
            if old_value is not None and new_value is not None and _is_same_number(value, old_value):
                value = new_value
            widget.value = value if widget.converter is None else widget.converter(value)

    def _set_converter(self, widget: Widget, change: JsonObject) -> None:
        """Let a number field round by the options of its class, with the changes that a format makes to them."""
        spec = widget.spec
        if spec and spec.type in ("INT", "FLOAT") and "widgetType" not in spec.config[1]:
            convert = _converted_int if spec.type == "INT" else _converted_float
            widget.converter = partial(convert, {**spec.config[1], **change})


def _loader_changes(chosen: Json) -> dict[str, JsonObject]:
    """Return the changes that a format makes to the fields of a video loader, by field.

    A change may have `step` and `mod`, by which the field rounds, and `reset`, the format's own value of the field.
    """
    chosen = chosen if isinstance(chosen, dict) else {}
    changes: dict[str, JsonObject] = {}
    for name, key in _CHANGED_BY_FORMAT.items():
        match key, chosen.get(key):
            case "target_rate", int() | float() as rate:
                changes[name] = {"reset": rate}
            case "dim", [step, shift, *sizes]:
                changes[name] = {"step": step, "mod": shift}
                index = 1 if name == "custom_height" else 0  # the sizes are width and height
                if index < len(sizes):
                    changes[name]["reset"] = sizes[index]
            case "frames", [step, shift, *_]:
                changes[name] = {"step": step, "mod": shift}
    return changes


def _format_inputs(rows: Json) -> Iterator[InputSpec]:
    """Yield the inputs of a video format. Each is declared as `[name, type, options]`. Invalid rows are skipped."""
    for row in rows if isinstance(rows, list) else []:
        match row:
            case [str(name), *definition]:
                spec = read_input(name, Presence.REQUIRED, definition)
                if spec:
                    yield spec


def _converted_int(options: JsonObject, value: Value) -> Value:
    """Return a number limited to the range of its field and rounded to the field's step, or None for other values.

    0 means that the field is not used, so that it stays 0. For a field without a step the script computes NaN, which no
    server accepts. Here the number stays as it is.
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
    """Return a value rounded by the options of a number field. The value MISSING stays."""
    return value if value is MISSING else number.converted(value)


def _converted_float(options: JsonObject, value: Value) -> Value:
    """Return a number limited to the maximum of its field. Other values stay as they are."""
    high = _option(options, "max")
    number = None if value is MISSING or isinstance(value, str) else to_js_number(value)
    return high if high and number is not None and number > high else value


def _clamp(options: JsonObject, number: float) -> float:
    """Return a number limited to the range of its field. As in the script, a limit of 0 is no limit."""
    low, high = _option(options, "min"), _option(options, "max")
    number = high if high and number > high else number
    return low if low and number < low else number


def _option(options: JsonObject, name: str) -> float | None:
    """Return an option of a field as a number, or None if it has none."""
    value = options.get(name)
    return float(value) if isinstance(value, int | float) else None
