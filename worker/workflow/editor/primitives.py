"""PrimitiveNode: a value of the editor's own, copied into the fields that it is linked to before a prompt is made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.editor.editor_graph import MISSING, PRIMITIVE, Graph, Slot, UiNode, Value, Widget
from worker.workflow.editor.fields import kind_of
from worker.workflow.editor.javascript import as_number, lcm, remainder, round_half_up, to_fixed
from worker.workflow.json_value import Json, JsonObject

_NUMBERS = ("INT", "FLOAT")
_NOT_COMPARED = frozenset(
    ("default", "forceInput", "defaultInput", "control_after_generate", "multiline", "tooltip", "dynamicPrompts")
)
_LIMITS = ("min", "max", "step")


@dataclass(frozen=True, slots=True)
class Number:
    """How a field rounds and bounds the numbers it is given."""

    kind: str
    options: JsonObject

    def step(self) -> float:
        step = self.options.get("step")
        fallback = 1.0 if self.kind == "INT" else 0.5
        return float(step) if isinstance(step, int | float) and step else fallback

    def limit(self, name: str, fallback: float) -> float:
        limit = self.options.get(name)
        return float(limit) if isinstance(limit, int | float) else fallback

    def accept(self, value: Json) -> Json:
        """The value that stays in the field when a person types this one."""
        number = as_number(value)
        if number is None:
            return math.nan
        return self._whole(number) if self.kind == "INT" else self._real(number)

    def bound(self, value: Json) -> Json:
        number = as_number(value)
        if number is None:
            return value
        low, high = self.limit("min", 0), self.limit("max", 2048)
        return low if number < low else high if number > high else value

    def _whole(self, number: float) -> float:
        step = self.step()
        offset = remainder(self.limit("min", 0), step) if step != 1 else 0.0
        return round_half_up((number - offset) / step) * step + offset

    def _real(self, number: float) -> float:
        decimals = _decimals(self.step())
        asked = self.options.get("round")
        rounding = float(asked) if isinstance(asked, int | float) and asked else 10.0**-decimals if decimals else 0.0
        if not rounding:
            return number
        rounded = to_fixed(round_half_up(number / rounding) * rounding, decimals)
        return min(max(rounded, self.limit("min", 0)), self.limit("max", 2048))


def apply_primitives(graphs: Iterable[Graph]) -> None:
    """Copy the value of each primitive into what it feeds, muted or not."""
    found = [(graph, node) for graph in graphs for node in graph.nodes.values() if node.type == PRIMITIVE]
    settled = [(graph, node, _value(graph, node)) for graph, node in found]
    for graph, node, value in settled:
        for _, _, field in _fed(graph, node):
            _put(field, value)


def _fed(graph: Graph, primitive: UiNode) -> list[tuple[UiNode, Slot, Widget]]:
    ends = [end for link_id in primitive.fed if (end := graph.target(link_id))]
    return [(node, slot, field) for node, slot in ends if (field := node.widget_of(slot))]


def _put(field: Widget, value: Value) -> None:
    if value is MISSING:
        return
    number = number_of(field.spec)
    accept = field.accept or (number.accept if number else None)
    field.value = accept(value) if accept else value


def _value(graph: Graph, primitive: UiNode) -> Value:
    """What the primitive holds: its own value, else its first target's; numbers within what all its targets allow."""
    fed = _fed(graph, primitive)
    if not fed or graph.target(primitive.fed[0]) is None:
        return MISSING
    own = primitive.values if isinstance(primitive.values, list) else []
    value: Value = own[0] if own else fed[0][2].value
    merged = number_of(fed[0][2].spec)
    if merged is None or value is MISSING:
        return value
    for _, _, field in fed:
        both = _merge(merged, number_of(field.spec))
        if both is not None:
            merged = both
            value = merged.accept(merged.bound(value))
    return value


def number_of(spec: InputSpec | None) -> Number | None:
    """How an input rounds and bounds numbers; None for one that is no number."""
    kind = kind_of(spec) if spec else ""
    return Number(kind, spec.config[1]) if spec and kind in _NUMBERS else None


def _merge(one: Number, other: Number | None) -> Number | None:
    """What two fields both allow; None where they don't go together."""
    if other is None or one.kind != other.kind:
        return None
    infinity = float("inf")
    low = max(one.limit("min", -infinity), other.limit("min", -infinity))
    high = min(one.limit("max", infinity), other.limit("max", infinity))
    keys = (one.options.keys() | other.options.keys()) - _NOT_COMPARED - set(_LIMITS)
    if low > high or any(one.options.get(key) != other.options.get(key) for key in keys):
        return None
    step = lcm(_step_or_one(one), _step_or_one(other))
    return Number(one.kind, {**one.options, "min": low, "max": high, "step": step})


def _step_or_one(number: Number) -> float:
    step = number.options.get("step")
    return float(step) if isinstance(step, int | float) and step else 1.0


def _decimals(step: float) -> int:
    """Places behind the point that a step asks for: 0.5 and 0.1 one, 0.01 two."""
    decimals = 0
    while step < 1 and decimals < 20 and 10.0**-decimals > step * (1 + 1e-12):
        decimals += 1
    return decimals
