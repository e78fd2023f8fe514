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
"""Score of a value that a field cannot hold."""
_INVERSION_COST = 0.02  # less than any difference between two scores of fit


def is_order_lost(inner: Sequence[InputSpec]) -> bool:
    """Return whether the inputs of an option are sorted by name, and have therefore lost their original order.

    No class of ComfyUI declares several inputs in the order of their names.
    """
    sections = [
        [spec.name for spec in inner if spec.presence is presence]
        for presence in (Presence.REQUIRED, Presence.OPTIONAL)
    ]
    return any(len(names) > 1 for names in sections) and all(names == sorted(names) for names in sections)


def restore_order(
    class_type: str, combo: str, inner: Sequence[InputSpec], slot_names: Sequence[str], following: Sequence[Json]
) -> list[InputSpec]:
    """Return the inputs `inner` of the chosen option of a dynamic combo in their original order.

    `slot_names` are the names of the node's slots in the file. `following` are the values that the file has after the
    value of the combo.
    """
    ordered = _order_by_slots(inner, slot_names) or _order_by_declaration(class_type, combo, inner)
    fields = [spec for spec in ordered if is_field(spec)]
    if not following or len(fields) < 2 or len(fields) > MAX_TRIED or all_fit(fields, following):
        return ordered
    fitting_fields = iter(_best_fit(fields, following))
    # Only fields change places with each other. Sockets have no values and stay where they are.
    return [next(fitting_fields) if is_field(spec) else spec for spec in ordered]


def _order_by_slots(inner: Sequence[InputSpec], slot_names: Sequence[str]) -> list[InputSpec] | None:
    """Return the inputs in the order of their slots in the saved file, or None if the file does not give the order.

    A slot is the saved connection point of an input. Older editors saved none for an input that is edited as a field
    and has no link, so the order is unknown. Inputs that only take links and have no slot come last.
    """
    positions: dict[str, int] = {}
    for spec in inner:
        prefix = f"{spec.name}."  # the slots of an input with several slots begin like this
        matching = (index for index, slot in enumerate(slot_names) if slot == spec.name or slot.startswith(prefix))
        position = next(matching, None)
        if position is None and is_field(spec):
            return None
        positions[spec.name] = len(slot_names) if position is None else position
    return sorted(inner, key=lambda spec: positions[spec.name])


def _order_by_declaration(class_type: str, combo: str, inner: Sequence[InputSpec]) -> list[InputSpec]:
    """Return the inputs in the order in which ComfyUI declares them: required ones first, unknown ones last."""
    names = _declared_orders().get(class_type, {}).get(combo, [])
    positions = {f"{combo}.{name}": index for index, name in enumerate(names)}
    last = len(positions)
    return sorted(inner, key=lambda spec: (spec.presence is Presence.OPTIONAL, positions.get(spec.name, last)))


@cache
def _declared_orders() -> dict[str, dict[str, list[str]]]:
    """Return the names of the inputs inside a dynamic combo as ComfyUI orders them, by class and name of the combo."""
    text = resources.files("worker.workflow.catalog").joinpath("data", DECLARED).read_bytes()
    declared: dict[str, dict[str, list[str]]] = orjson.loads(text)
    return declared


def all_fit(fields: Sequence[InputSpec], values: Sequence[Json]) -> bool:
    """Return whether each field can hold its value if the fields take the values in this order."""
    position = 0
    for spec in fields:
        if _fit(spec, values, position) < 0:
            return False
        position += _saved_width(spec)
    return True


def _best_fit(fields: Sequence[InputSpec], values: Sequence[Json]) -> list[InputSpec]:
    """Return the order in which the fields fit the values best. Among equals it is closest to the given order.

    The search is a dynamic program over the sets of fields that are already placed, each as a bit mask.
    """
    count = len(fields)
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}  # score and order of the indices, by set
    for placed in range(1 << count):
        score, order = best[placed]
        position = sum(_saved_width(fields[index]) for index in order)
        for index in range(count):
            if placed & 1 << index:
                continue
            inversions = sum(1 for earlier in order if earlier > index)
            new_score = score + _fit(fields[index], values, position) - _INVERSION_COST * inversions
            extended = placed | 1 << index
            if extended not in best or new_score > best[extended][0]:
                best[extended] = new_score, (*order, index)
    _, best_order = best[(1 << count) - 1]
    return [fields[index] for index in best_order]


def _saved_width(spec: InputSpec) -> int:
    """Return the number of saved values that a field occupies. A seed has a second one for its control."""
    return sum(1 for widget in fields_for(spec) if widget.is_saved)


def _fit(spec: InputSpec, values: Sequence[Json], position: int) -> float:
    """Return a score for how well a field fits the values from `position` on.

    A negative score means that the field cannot have held them. 0 means that there are no values.
    """
    own_values = values[position : position + _saved_width(spec)]
    if not own_values:
        return 0.0
    return sum(_scores(spec, own_values))


def _scores(spec: InputSpec, values: Sequence[Json]) -> Iterator[float]:
    """Yield the scores whose sum tells how well a field fits its values.

    They rate the type of the value, whether it is the default, and whether the values after it are seed controls.
    """
    kind, value = field_kind(spec), values[0]
    if kind in ("COMBO", DYNAMIC_COMBO):
        yield _choice_score(choices_of(spec), value)
    elif kind == "BOOLEAN":
        yield 2.0 if isinstance(value, bool) else _IMPOSSIBLE
    elif kind in ("INT", "FLOAT"):
        yield _number_score(spec, kind, value)
    elif kind == "STRING":
        yield 1.0 if isinstance(value, str) else _IMPOSSIBLE
    yield 0.25 if value == spec.default else 0.0
    for control in values[1:]:
        yield 2.0 if control in _CONTROLS else _IMPOSSIBLE


def _choice_score(choices: Sequence[Json], value: Json) -> float:
    """Return the score of a value for a combo. It is 0 if the choices are unknown or nothing is chosen."""
    if value in choices:
        return 3.0
    return 0.0 if not choices or value is None else _IMPOSSIBLE


def _number_score(spec: InputSpec, kind: str, value: Json) -> float:
    """Return the score of a value for a field of the kind INT or FLOAT. Values outside its range are impossible."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _IMPOSSIBLE
    if (spec.min is not None and value < spec.min) or (spec.max is not None and value > spec.max):
        return _IMPOSSIBLE
    is_integer = isinstance(value, int) or value.is_integer()
    return (2.0 if is_integer else _IMPOSSIBLE) if kind == "INT" else 1.5
