"""The order of the inputs inside an option of a dynamic combo, where the catalog's keys were sorted and have lost it.

A running ComfyUI tells it, a recorded catalog often doesn't; values are saved by order alone. What is left to go by:
the slots that the file names, the order that ComfyUI 0.33.0 declares, and which values fit which fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

import orjson

from worker.workflow.catalog.node_class import DYNAMIC_COMBO, InputSpec, Presence
from worker.workflow.editor.fields import choices_of, fields_of, is_field, kind_of
from worker.workflow.json_value import Json

DECLARED = "inner-order.json"
MOST_TRIED = 10  # fields; every order of more would take too long

_CONTROLS = ("fixed", "increment", "decrement", "randomize", "increment-wrap")
_NEVER = -3.0
_TURNED = 0.02  # less than any difference in fit


def lost(inner: Sequence[InputSpec]) -> bool:
    """True where the names of each section stand in the alphabet's order, as no class of several inputs has them."""
    sections = [[spec.name for spec in inner if spec.presence is one] for one in (Presence.REQUIRED, Presence.OPTIONAL)]
    return any(len(names) > 1 for names in sections) and all(names == sorted(names) for names in sections)


def restore(
    class_type: str, combo: str, inner: Sequence[InputSpec], saved: Sequence[str], ahead: Sequence[Json]
) -> list[InputSpec]:
    """Order the inputs of a chosen option by what the file and our facts tell; `ahead` are the values that follow."""
    found = _by_saved(inner, saved) or _by_declared(class_type, combo, inner)
    fields = [spec for spec in found if is_field(spec)]
    if not ahead or len(fields) < 2 or len(fields) > MOST_TRIED or all_fit(fields, ahead):
        return found
    better = iter(_best_fit(fields, ahead))
    return [next(better) if is_field(spec) else spec for spec in found]


def _by_saved(inner: Sequence[InputSpec], saved: Sequence[str]) -> list[InputSpec] | None:
    """None where a field has no slot in the file: older editors left those out that nothing was linked to."""
    places: dict[str, int] = {}
    for spec in inner:
        named = (place for place, slot in enumerate(saved) if slot == spec.name or slot.startswith(f"{spec.name}."))
        place = next(named, None)
        if place is None and is_field(spec):
            return None
        places[spec.name] = len(saved) if place is None else place
    return sorted(inner, key=lambda spec: places[spec.name])


def _by_declared(class_type: str, combo: str, inner: Sequence[InputSpec]) -> list[InputSpec]:
    names = _declared().get(class_type, {}).get(combo, [])
    places = {f"{combo}.{name}": place for place, name in enumerate(names)}
    return sorted(inner, key=lambda spec: (spec.presence is Presence.OPTIONAL, places.get(spec.name, len(places))))


@cache
def _declared() -> dict[str, dict[str, list[str]]]:
    text = resources.files("worker.workflow.catalog").joinpath("data", DECLARED).read_bytes()
    declared: dict[str, dict[str, list[str]]] = orjson.loads(text)
    return declared


def all_fit(fields: Sequence[InputSpec], ahead: Sequence[Json]) -> bool:
    """Return whether each field can hold its value, taken in this order."""
    place = 0
    for spec in fields:
        if _fit(spec, ahead, place) < 0:
            return False
        place += _places(spec)
    return True


def _best_fit(fields: Sequence[InputSpec], ahead: Sequence[Json]) -> list[InputSpec]:
    """Of all orders the one whose fields fit their values best; of equals the one nearest to the order given."""
    count = len(fields)
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for used in range(1 << count):
        score, order = best[used]
        place = sum(_places(fields[index]) for index in order)
        for index in range(count):
            if used & 1 << index:
                continue
            turned = sum(1 for earlier in order if earlier > index)
            candidate = score + _fit(fields[index], ahead, place) - _TURNED * turned, (*order, index)
            after = used | 1 << index
            if after not in best or candidate[0] > best[after][0]:
                best[after] = candidate
    return [fields[index] for index in best[(1 << count) - 1][1]]


def _places(spec: InputSpec) -> int:
    return sum(1 for widget in fields_of(spec) if widget.saved)


def _fit(spec: InputSpec, ahead: Sequence[Json], place: int) -> float:
    """How well a field takes the values from `place` on: below 0 where it can't have held them."""
    values = ahead[place : place + _places(spec)]
    if not values:
        return 0.0
    return sum(_fits(spec, values))


def _fits(spec: InputSpec, values: Sequence[Json]) -> Iterator[float]:
    kind, value = kind_of(spec), values[0]
    if kind in ("COMBO", DYNAMIC_COMBO):
        choices = choices_of(spec)
        yield 3.0 if value in choices else 0.0 if not choices or value is None else _NEVER
    elif kind == "BOOLEAN":
        yield 2.0 if isinstance(value, bool) else _NEVER
    elif kind in ("INT", "FLOAT"):
        yield _fits_number(spec, kind, value)
    elif kind == "STRING":
        yield 1.0 if isinstance(value, str) else _NEVER
    yield 0.25 if value == spec.default else 0.0
    for control in values[1:]:
        yield 2.0 if control in _CONTROLS else _NEVER


def _fits_number(spec: InputSpec, kind: str, value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _NEVER
    if (spec.min is not None and value < spec.min) or (spec.max is not None and value > spec.max):
        return _NEVER
    whole = isinstance(value, int) or value.is_integer()
    return (2.0 if whole else _NEVER) if kind == "INT" else 1.5
