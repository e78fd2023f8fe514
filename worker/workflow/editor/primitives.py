"""PrimitiveNode: holds a value that the editor copies into the linked fields before it writes the prompt."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.editor.editor_graph import MISSING, PRIMITIVE, Graph, UiNode, Value, Widget
from worker.workflow.editor.fields import field_kind
from worker.workflow.editor.javascript import least_common_multiple, remainder, round_half_up, to_fixed, to_js_number
from worker.workflow.json_value import Json, JsonObject

_NUMBERS = ("INT", "FLOAT")
_NOT_COMPARED = frozenset(
    ("default", "forceInput", "defaultInput", "control_after_generate", "multiline", "tooltip", "dynamicPrompts")
)
_LIMITS = ("min", "max", "step")


@dataclass(frozen=True, slots=True)
class NumberField:
    """A number field of the kind INT or FLOAT, with the options by which it rounds and limits its values."""

    kind: str
    options: JsonObject

    def step(self) -> float:
        """Return the step of the field, or the editor's default for its kind."""
        step = self.options.get("step")
        fallback = 1.0 if self.kind == "INT" else 0.5
        return float(step) if isinstance(step, int | float) and step else fallback

    def limit(self, name: str, fallback: float) -> float:
        """Return the option `min` or `max` as a number, or `fallback` if the field does not have it."""
        limit = self.options.get(name)
        return float(limit) if isinstance(limit, int | float) else fallback

    def converted(self, value: Json) -> Json:
        """Return the number that the field holds after a user types a value, rounded as the editor does it.

        Return NaN for a value that is not a number.
        """
        number = to_js_number(value)
        if number is None:
            return math.nan
        return self._round_to_step(number) if self.kind == "INT" else self._round_decimals(number)

    def clamp(self, value: Json) -> Json:
        """Return the value, or the limit that it exceeds. A value that is not a number is returned as it is."""
        number = to_js_number(value)
        if number is None:
            return value
        low, high = self.limit("min", 0), self.limit("max", 2048)
        return low if number < low else high if number > high else value

    def _round_to_step(self, number: float) -> float:
        """Return an INT as a multiple of the step, counted from the minimum."""
        step = self.step()
        offset = remainder(self.limit("min", 0), step) if step != 1 else 0.0
        return round_half_up((number - offset) / step) * step + offset

    def _round_decimals(self, number: float) -> float:
        """Return a FLOAT rounded by the option `round`, else to the decimals of the step, and limited to the range.

        A step of whole numbers rounds nothing, and the range is then not checked either, as in the editor.
        """
        decimals = _decimals(self.step())
        option = self.options.get("round")
        if isinstance(option, int | float) and option:
            precision = float(option)
        elif decimals:
            precision = 10.0**-decimals
        else:
            return number
        rounded = to_fixed(round_half_up(number / precision) * precision, decimals)
        return min(max(rounded, self.limit("min", 0)), self.limit("max", 2048))


def apply_primitives(graphs: Iterable[Graph]) -> None:
    """Copy the value of each PrimitiveNode, muted or not, into the fields that it is linked to.

    All values are computed before any field is set, because a primitive without a value takes that of its first field.
    """
    primitives = [(graph, node) for graph in graphs for node in graph.nodes.values() if node.type == PRIMITIVE]
    values = [_primitive_value(graph, primitive) for graph, primitive in primitives]
    for (graph, primitive), value in zip(primitives, values, strict=True):
        for field in _linked_fields(graph, primitive):
            _set_field(field, value)


def _linked_fields(graph: Graph, primitive: UiNode) -> list[Widget]:
    """Return the fields that a primitive is linked to, in the order of its links. Links to sockets are skipped."""
    fields: list[Widget] = []
    for link_id in primitive.first_output_links:
        target = graph.link_target(link_id)
        if target is not None:
            node, slot = target
            field = node.widget_of(slot)
            fields += [] if field is None else [field]
    return fields


def _set_field(field: Widget, value: Value) -> None:
    """Set a field to a value, rounded or changed as the field does it. The value MISSING leaves the field unchanged."""
    if value is MISSING:
        return
    number = number_field(field.spec)
    convert = field.converter or (number.converted if number else None)
    field.value = convert(value) if convert else value


def _primitive_value(graph: Graph, primitive: UiNode) -> Value:
    """Return the value of a primitive: its own one, or else that of its first field. MISSING means that it has none.

    A number is rounded and limited by the options of all fields whose options can be merged.
    """
    fields = _linked_fields(graph, primitive)
    if not fields or graph.link_target(primitive.first_output_links[0]) is None:
        return MISSING
    saved_values = primitive.values if isinstance(primitive.values, list) else []
    value: Value = saved_values[0] if saved_values else fields[0].value
    merged = number_field(fields[0].spec)
    if merged is None or value is MISSING:
        return value
    for field in fields:
        narrowed = _merge(merged, number_field(field.spec))
        if narrowed is not None:
            merged = narrowed
            value = merged.converted(merged.clamp(value))
    return value


def number_field(spec: InputSpec | None) -> NumberField | None:
    """Return the number field of an input, or None if there is no input or it is not a number."""
    kind = field_kind(spec) if spec else ""
    return NumberField(kind, spec.config[1]) if spec and kind in _NUMBERS else None


def _merge(first: NumberField, second: NumberField | None) -> NumberField | None:
    """Return a field whose range and step satisfy both fields.

    Return None if `second` is None, if the kinds or other options differ, or if the ranges do not overlap.
    """
    if second is None or first.kind != second.kind:
        return None
    infinity = float("inf")
    low = max(first.limit("min", -infinity), second.limit("min", -infinity))
    high = min(first.limit("max", infinity), second.limit("max", infinity))
    compared = (first.options.keys() | second.options.keys()) - _NOT_COMPARED - set(_LIMITS)
    if low > high or any(first.options.get(key) != second.options.get(key) for key in compared):
        return None
    step = least_common_multiple(_step_or_one(first), _step_or_one(second))
    return NumberField(first.kind, {**first.options, "min": low, "max": high, "step": step})


def _step_or_one(number: NumberField) -> float:
    """Return the step of a number field, or 1 if it has none."""
    step = number.options.get("step")
    return float(step) if isinstance(step, int | float) and step else 1.0


def _decimals(step: float) -> int:
    """Return the number of decimals of a step: 1 for 0.5 and 0.1, 2 for 0.01."""
    decimals = 0
    while step < 1 and decimals < 20 and 10.0**-decimals > step * (1 + 1e-12):
        decimals += 1
    return decimals
