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
    """The options by which a number field rounds its values and limits their range."""

    kind: str
    options: JsonObject

    def step(self) -> float:
        """Return the step of the field, or the editor's default for its kind."""
        step = self.options.get("step")
        fallback = 1.0 if self.kind == "INT" else 0.5
        return float(step) if isinstance(step, int | float) and step else fallback

    def limit(self, name: str, fallback: float) -> float:
        """Return the option `min` or `max` as a number."""
        limit = self.options.get(name)
        return float(limit) if isinstance(limit, int | float) else fallback

    def accept(self, value: Json) -> Json:
        """Return the value that the field holds after a user types this one."""
        number = to_js_number(value)
        if number is None:
            return math.nan
        return self._round_to_step(number) if self.kind == "INT" else self._round_decimals(number)

    def clamp(self, value: Json) -> Json:
        """Return the value, or the limit that it exceeds."""
        number = to_js_number(value)
        if number is None:
            return value
        low, high = self.limit("min", 0), self.limit("max", 2048)
        return low if number < low else high if number > high else value

    def _round_to_step(self, number: float) -> float:
        """Round an INT to a multiple of the step, counted from the minimum."""
        step = self.step()
        offset = remainder(self.limit("min", 0), step) if step != 1 else 0.0
        return round_half_up((number - offset) / step) * step + offset

    def _round_decimals(self, number: float) -> float:
        """Round a FLOAT by its option `round` or by the decimals of its step, and limit it to its range."""
        decimals = _decimals(self.step())
        option = self.options.get("round")
        rounding = float(option) if isinstance(option, int | float) and option else 10.0**-decimals if decimals else 0.0
        if not rounding:
            return number
        rounded = to_fixed(round_half_up(number / rounding) * rounding, decimals)
        return min(max(rounded, self.limit("min", 0)), self.limit("max", 2048))


def apply_primitives(graphs: Iterable[Graph]) -> None:
    """Copy the value of each primitive, muted or not, into the fields that it is linked to.

    All values are computed first, because a primitive without a value takes that of its first field.
    """
    primitives = [(graph, node) for graph in graphs for node in graph.nodes.values() if node.type == PRIMITIVE]
    values = [_value(graph, primitive) for graph, primitive in primitives]
    for (graph, primitive), value in zip(primitives, values, strict=True):
        for field in _linked_fields(graph, primitive):
            _set_field(field, value)


def _linked_fields(graph: Graph, primitive: UiNode) -> list[Widget]:
    """Return the fields that a primitive is linked to."""
    targets = [target for link_id in primitive.first_output_links if (target := graph.link_target(link_id))]
    return [field for node, slot in targets if (field := node.widget_of(slot))]


def _set_field(field: Widget, value: Value) -> None:
    """Set a field to a value, rounded as the field does it. MISSING changes nothing."""
    if value is MISSING:
        return
    number = number_field(field.spec)
    accept = field.accept or (number.accept if number else None)
    field.value = accept(value) if accept else value


def _value(graph: Graph, primitive: UiNode) -> Value:
    """Return the value of a primitive: its own one, or else that of its first field.

    A number is rounded and limited by the options of all fields whose options can be merged.
    """
    fields = _linked_fields(graph, primitive)
    if not fields or graph.link_target(primitive.first_output_links[0]) is None:
        return MISSING
    own_values = primitive.values if isinstance(primitive.values, list) else []
    value: Value = own_values[0] if own_values else fields[0].value
    merged = number_field(fields[0].spec)
    if merged is None or value is MISSING:
        return value
    for field in fields:
        narrowed = _merge(merged, number_field(field.spec))
        if narrowed is not None:
            merged = narrowed
            value = merged.accept(merged.clamp(value))
    return value


def number_field(spec: InputSpec | None) -> NumberField | None:
    """Return the number options of an input, or None if the input is not a number."""
    kind = field_kind(spec) if spec else ""
    return NumberField(kind, spec.config[1]) if spec and kind in _NUMBERS else None


def _merge(one: NumberField, other: NumberField | None) -> NumberField | None:
    """Return options that satisfy both fields, or None if their kinds, ranges or other options differ."""
    if other is None or one.kind != other.kind:
        return None
    infinity = float("inf")
    low = max(one.limit("min", -infinity), other.limit("min", -infinity))
    high = min(one.limit("max", infinity), other.limit("max", infinity))
    keys = (one.options.keys() | other.options.keys()) - _NOT_COMPARED - set(_LIMITS)
    if low > high or any(one.options.get(key) != other.options.get(key) for key in keys):
        return None
    step = least_common_multiple(_step_or_one(one), _step_or_one(other))
    return NumberField(one.kind, {**one.options, "min": low, "max": high, "step": step})


def _step_or_one(number: NumberField) -> float:
    """Return the step of a number field, or 1 without one."""
    step = number.options.get("step")
    return float(step) if isinstance(step, int | float) and step else 1.0


def _decimals(step: float) -> int:
    """Return the number of decimals of a step: 1 for 0.5 and 0.1, 2 for 0.01."""
    decimals = 0
    while step < 1 and decimals < 20 and 10.0**-decimals > step * (1 + 1e-12):
        decimals += 1
    return decimals
