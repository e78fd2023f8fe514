"""Seeds: what runs for one that is out of range, and fresh ones."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from worker.job import RandomInteger
from worker.prompt_changes import SeedField
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt
from worker.workflow.repairs.value_change import ValueChange

LARGEST = 2**50
"""The editor draws no larger one; every JavaScript client reads it exactly."""
WITHOUT_MAX = 2**32 - 1
LONGEST = 1000
"""Bits of a number that is written out, and that is a float, too."""


def seed_of(node_id: str, spec: InputSpec) -> SeedField:
    """Return the field that gets a fresh seed."""
    return SeedField(node_id, spec.name, *_range(spec))


def seed_change(spec: InputSpec, value: Json) -> ValueChange | None:
    """Return what runs for a seed that ComfyUI refuses; None for one that it takes, and for what is no number.

    Below the range, most often -1, any seed is meant. One above it is meant itself: the same always becomes the same.
    """
    low, high = _range(spec)
    if value is None:
        return _fresh(spec, value, "No seed was given")
    number = _whole(value)
    if number is None:
        return None
    outside = f"The seed {_short(number)} is outside of its range, {low} to {high}"
    if spec.min is not None and number < low:
        return _fresh(spec, value, outside)
    if spec.max is None or number <= high:
        return None
    if number.bit_length() <= LONGEST and float(number) == float(high):
        return ValueChange(spec.name, value, high, "seed_out_of_range", f"{outside}, as JavaScript rounds its end.")
    runs = low + (number - low) % (high - low + 1)
    return ValueChange(spec.name, value, runs, "seed_out_of_range", f"{outside}: beyond it they begin again at {low}.")


def _fresh(spec: InputSpec, value: Json, why: str) -> ValueChange:
    low, _ = _range(spec)
    return ValueChange(spec.name, value, low, "seed_drawn", f"{why}: one is drawn when the job runs.", spec)


def _short(number: int) -> str:
    return str(number) if number.bit_length() <= LONGEST else f"of {number.bit_length()} bits"


def draw_seeds(prompt: Prompt, fields: Iterable[SeedField], rng: Random) -> tuple[Prompt, tuple[RandomInteger, ...]]:
    """Return a copy with a fresh seed in each field, and these seeds. Fields of one `source` get the same."""
    ranges: dict[str, tuple[int, int]] = {}
    present = [field for field in fields if field.node_id in prompt]
    for field in present:
        low, high = ranges.get(field.source, (0, LARGEST))
        ranges[field.source] = max(low, field.min), min(high, field.max)
    drawn = {source: rng.randint(low, max(low, high)) for source, (low, high) in ranges.items()}
    changed = dict(prompt)
    for field in present:
        node = changed[field.node_id]
        changed[field.node_id] = {**node, "inputs": {**node["inputs"], field.input: drawn[field.source]}}
    return changed, tuple(RandomInteger(field.node_id, field.input, drawn[field.source]) for field in present)


def _range(spec: InputSpec) -> tuple[int, int]:
    """The least and the largest value that ComfyUI takes, as far as the class says."""
    low = 0 if spec.min is None else int(spec.min)
    return low, max(low, WITHOUT_MAX) if spec.max is None else max(low, int(spec.max))


def _whole(value: Json) -> int | None:
    """The number as ComfyUI reads it, which also takes text and cuts fractions off."""
    if not isinstance(value, str | int | float):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None
