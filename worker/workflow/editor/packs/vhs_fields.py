"""VideoHelperSuite's fields: they round what they are given, and a chosen format changes them or adds others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from worker.workflow.catalog.node_class import InputSpec, Presence, read_input
from worker.workflow.editor.editor_graph import MISSING, Slot, UiNode, Value, Widget
from worker.workflow.editor.fields import fields_of
from worker.workflow.editor.javascript import as_number, round_half_up
from worker.workflow.editor.primitives import Number, number_of
from worker.workflow.json_value import Json, JsonObject

COMBINE = "VHS_VideoCombine"
FORMAT = "format"

_BY_FORMAT = {"force_rate": "target_rate", "custom_width": "dim", "custom_height": "dim", "frame_load_cap": "frames"}
"""Fields that the format of what loads a video changes, and what the format calls it."""


class FormatFields:
    """The fields of one node, set one after another as the pack's script does."""

    def __init__(self, node: UiNode) -> None:
        self._node = node
        self._added: list[Widget] = []
        self._given: dict[str, Value] = {}
        self._proposed: dict[str, Json] = {}
        self._format = next((one for one in node.widgets if one.name == FORMAT), None)
        for widget in node.widgets:
            self._round_by(widget, {})
        if self._format and node.type != COMBINE:
            self._change_loader(_of_loader(self._formats().get(str(self._format.value))), reset=False)

    @property
    def known(self) -> bool:
        """Whether the class names the fields of its formats, as the pack has done since 2024."""
        return bool(self._formats())

    @property
    def names(self) -> frozenset[str]:
        """The fields of all formats: those of another than the chosen one are not sent."""
        rows = [row for rows in self._formats().values() if isinstance(rows, list) for row in rows]
        return frozenset(str(row[0]) for row in rows if isinstance(row, list) and row)

    def set(self, widget: Widget, value: Value) -> None:
        """Give a field its value; the fields that depend on it follow."""
        self._given[widget.name] = value
        widget.value = value if widget.accept is None else widget.accept(value)
        if widget is not self._format:
            return
        chosen = self._formats().get(value) if isinstance(value, str) else None
        if self._node.type == COMBINE:
            self._exchange(chosen)
        elif isinstance(chosen, dict):
            self._change_loader(_of_loader(chosen), reset=True)

    def _formats(self) -> JsonObject:
        spec = self._format.spec if self._format else None
        formats = spec.config[1].get("formats") if spec else None
        return formats if isinstance(formats, dict) else {}

    def _exchange(self, rows: Json) -> None:
        """Put the fields of a video's format behind the format, in the place of the former one's."""
        node = self._node
        kept = [one for one in node.widgets if all(one is not gone for gone in self._added)]
        self._added = [widget for spec in _specs(rows) for widget in fields_of(spec)]
        for widget in self._added:
            if number := number_of(widget.spec):
                widget.accept = partial(_plain, number)
        place = next(index for index, one in enumerate(kept) if one is self._format) + 1
        node.widgets = [*kept[:place], *self._added, *kept[place:]]
        for widget in self._added:
            if node.slot(widget.name) is None:
                node.inputs.append(Slot(widget.name, widget.spec.type if widget.spec else "*", widget=widget.name))

    def _change_loader(self, changes: dict[str, JsonObject], *, reset: bool) -> None:
        """Round by what a format allows. A field that holds the former format's own value gets the new one's."""
        for widget in self._node.widgets:
            if widget.name not in _BY_FORMAT or widget.spec is None:
                continue
            former, change = self._proposed.get(widget.name), changes.get(widget.name, {})
            self._proposed[widget.name] = proposed = change.get("reset")
            self._round_by(widget, change)
            if not reset or widget.value is MISSING:
                continue
            value = widget.value if change else self._given.get(widget.name, widget.value)
            if None not in (former, proposed) and _same(value, former):
                value = proposed
            widget.value = value if widget.accept is None else widget.accept(value)

    def _round_by(self, widget: Widget, change: JsonObject) -> None:
        spec = widget.spec
        if spec and spec.type in ("INT", "FLOAT") and "widgetType" not in spec.config[1]:
            rounded = _whole if spec.type == "INT" else _real
            widget.accept = partial(rounded, {**spec.config[1], **change})


def _of_loader(chosen: Json) -> dict[str, JsonObject]:
    """What a format changes in the fields of a node that loads a video."""
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
    """The fields of a video's format, each written as `[name, type, options]`."""
    for row in rows if isinstance(rows, list) else []:
        match row:
            case [str(name), *written]:
                spec = read_input(name, Presence.REQUIRED, written)
                if spec:
                    yield spec


def _whole(options: JsonObject, value: Value) -> Value:
    """Round to the steps of a field; 0 means that the field is not used, and stays.

    The script makes NaN of a number where the field has no step, and no server takes that: the file's number stays.
    """
    if value is MISSING:
        return value
    number = as_number(value)
    if number is None:
        return None
    number = _bound(options, number)
    step, shift = _option(options, "step"), _option(options, "mod") or 0.0
    unused = number == 0 and value is not None
    return number if unused or not step else round_half_up((number - shift) / step) * step + shift


def _same(value: Value, former: Json) -> bool:
    return value is not MISSING and as_number(value) == as_number(former)


def _plain(number: Number, value: Value) -> Value:
    return value if value is MISSING else number.accept(value)


def _real(options: JsonObject, value: Value) -> Value:
    high = _option(options, "max")
    number = None if value is MISSING or isinstance(value, str) else as_number(value)
    return high if high and number is not None and number > high else value


def _bound(options: JsonObject, number: float) -> float:
    low, high = _option(options, "min"), _option(options, "max")
    number = high if high and number > high else number
    return low if low and number < low else number


def _option(options: JsonObject, name: str) -> float | None:
    value = options.get(name)
    return float(value) if isinstance(value, int | float) else None
