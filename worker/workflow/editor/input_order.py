"""The order of the inputs inside an option of a dynamic combo, for catalogs whose keys were sorted.

Values are saved by order alone. A running ComfyUI reports the inputs in order, but a recorded catalog often has them
sorted by name. The order is then restored from the slots that the file names, from the order that ComfyUI 0.33.0
declares, and from which values fit which fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

import orjson

from worker.workflow.catalog.node_class import DYNAMIC_COMBO, InputSpec, Presence
from worker.workflow.editor.fields import choices_of, field_kind, fields_for, is_field
from worker.workflow.json_value import Json

DECLARED = "inner-order.json"
MAX_TRIED = 10  # fields, because the number of orders doubles with each

_CONTROLS = ("fixed", "increment", "decrement", "randomize", "increment-wrap")
_IMPOSSIBLE = -3.0
_INVERSION_COST = 0.02  # less than any difference between two scores of fit


def is_order_lost(inner: Sequence[InputSpec]) -> bool:
    """Return whether the inputs are sorted by name. No class declares several inputs in that order."""
    sections = [
        [spec.name for spec in inner if spec.presence is presence]
        for presence in (Presence.REQUIRED, Presence.OPTIONAL)
    ]
    return any(len(names) > 1 for names in sections) and all(names == sorted(names) for names in sections)


def restore_order(
    class_type: str, combo: str, inner: Sequence[InputSpec], saved: Sequence[str], following: Sequence[Json]
) -> list[InputSpec]:
    """Return the inputs of a chosen option in their original order.

    `saved` are the names of the slots in the file, and `following` are the values that were saved behind the combo's.
    """
    ordered = _order_by_slots(inner, saved) or _order_by_declaration(class_type, combo, inner)
    fields = [spec for spec in ordered if is_field(spec)]
    if not following or len(fields) < 2 or len(fields) > MAX_TRIED or all_fit(fields, following):
        return ordered
    fitting_fields = iter(_best_fit(fields, following))
    return [next(fitting_fields) if is_field(spec) else spec for spec in ordered]


def _order_by_slots(inner: Sequence[InputSpec], saved: Sequence[str]) -> list[InputSpec] | None:
    """Return the inputs in the order of the file's slots, or None if a field has no slot.

    Older editors saved no slot for a field without a link.
    """
    positions: dict[str, int] = {}
    for spec in inner:
        matching = (index for index, slot in enumerate(saved) if slot == spec.name or slot.startswith(f"{spec.name}."))
        position = next(matching, None)
        if position is None and is_field(spec):
            return None
        positions[spec.name] = len(saved) if position is None else position
    return sorted(inner, key=lambda spec: positions[spec.name])


def _order_by_declaration(class_type: str, combo: str, inner: Sequence[InputSpec]) -> list[InputSpec]:
    """Return the inputs in the order in which ComfyUI declares them. Unknown inputs come last."""
    names = _declared_orders().get(class_type, {}).get(combo, [])
    positions = {f"{combo}.{name}": index for index, name in enumerate(names)}
    last = len(positions)
    return sorted(inner, key=lambda spec: (spec.presence is Presence.OPTIONAL, positions.get(spec.name, last)))


@cache
def _declared_orders() -> dict[str, dict[str, list[str]]]:
    """Return the names of inner inputs in order, by class and combo."""
    text = resources.files("worker.workflow.catalog").joinpath("data", DECLARED).read_bytes()
    declared: dict[str, dict[str, list[str]]] = orjson.loads(text)
    return declared


def all_fit(fields: Sequence[InputSpec], values: Sequence[Json]) -> bool:
    """Return whether each field can hold its value when the values are taken in this order."""
    position = 0
    for spec in fields:
        if _fit(spec, values, position) < 0:
            return False
        position += _saved_width(spec)
    return True


def _best_fit(fields: Sequence[InputSpec], values: Sequence[Json]) -> list[InputSpec]:
    """Return the order in which the fields fit their values best. Among equals it is closest to the given order.

    The search is a dynamic program over the sets of fields that are already placed, each as a bit mask.
    """
    count = len(fields)
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for placed in range(1 << count):
        score, order = best[placed]
        position = sum(_saved_width(fields[index]) for index in order)
        for index in range(count):
            if placed & 1 << index:
                continue
            inversions = sum(1 for earlier in order if earlier > index)
            fit = _fit(fields[index], values, position)
            candidate = score + fit - _INVERSION_COST * inversions, (*order, index)
            after = placed | 1 << index
            if after not in best or candidate[0] > best[after][0]:
                best[after] = candidate
    return [fields[index] for index in best[(1 << count) - 1][1]]


def _saved_width(spec: InputSpec) -> int:
    """Return how many saved values a field occupies, with its companions."""
    return sum(1 for widget in fields_for(spec) if widget.is_saved)


def _fit(spec: InputSpec, values: Sequence[Json], position: int) -> float:
    """Return a score for how well a field fits the values from `position` on. Below 0 it cannot have held them."""
    own_values = values[position : position + _saved_width(spec)]
    if not own_values:
        return 0.0
    return sum(_scores(spec, own_values))


def _scores(spec: InputSpec, values: Sequence[Json]) -> Iterator[float]:
    """Yield the scores of a field's value, of its default, and of the seed control behind it."""
    kind, value = field_kind(spec), values[0]
    if kind in ("COMBO", DYNAMIC_COMBO):
        choices = choices_of(spec)
        yield 3.0 if value in choices else 0.0 if not choices or value is None else _IMPOSSIBLE
    elif kind == "BOOLEAN":
        yield 2.0 if isinstance(value, bool) else _IMPOSSIBLE
    elif kind in ("INT", "FLOAT"):
        yield _number_score(spec, kind, value)
    elif kind == "STRING":
        yield 1.0 if isinstance(value, str) else _IMPOSSIBLE
    yield 0.25 if value == spec.default else 0.0
    for control in values[1:]:
        yield 2.0 if control in _CONTROLS else _IMPOSSIBLE


def _number_score(spec: InputSpec, kind: str, value: Json) -> float:
    """Return the score of a value for a number field."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _IMPOSSIBLE
    if (spec.min is not None and value < spec.min) or (spec.max is not None and value > spec.max):
        return _IMPOSSIBLE
    is_integer = isinstance(value, int) or value.is_integer()
    return (2.0 if is_integer else _IMPOSSIBLE) if kind == "INT" else 1.5
