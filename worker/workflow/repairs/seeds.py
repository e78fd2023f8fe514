"""Draws random seeds, and replaces seeds that are out of range."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

from worker.prompt_changes import RandomInteger, SeedField
from worker.workflow.catalog.node_class import InputSpec
from worker.workflow.json_value import Json
from worker.workflow.prompt import Prompt
from worker.workflow.repairs.value_change import ValueChange

LARGEST = 2**50
"""Largest seed that the editor draws. JavaScript clients read it exactly."""
WITHOUT_MAX = 2**32 - 1
"""Largest seed for an input that declares no maximum."""
LONGEST = 1000
"""Maximum number of bits of a seed that a message shows in full. Such a number also fits into a float."""


def seed_of(node_id: str, spec: InputSpec) -> SeedField:
    """Return the description of an input that gets a random seed."""
    return SeedField(node_id, spec.name, *_seed_range(spec))


def seed_change(spec: InputSpec, value: Json) -> ValueChange | None:
    """Return the replacement of a seed that ComfyUI rejects, or None for a valid seed or a value that is no number.

    A seed below the range, such as -1, means any seed: a random one is drawn. A seed above the range is mapped into
    the range, so that the same seed always gives the same result. A limit that the class does not declare is not
    checked.
    """
    low, high = _seed_range(spec)
    if value is None:
        return _random_seed_change(spec, value, "The request has no seed")
    number = _as_integer(value)
    if number is None:
        return None
    outside = f"The seed {_seed_text(number)} is outside of its range, {low} to {high}"
    if spec.min is not None and number < low:
        return _random_seed_change(spec, value, outside)
    if spec.max is None or number <= high:
        return None
    # JavaScript rounds 2**64 - 1 to 2**64, which is outside of the range.
    if number.bit_length() <= LONGEST and float(number) == float(high):
        message = f"{outside}. JavaScript rounds the maximum to this number. The maximum runs: {high}."
        return ValueChange(spec.name, value, high, "seed_out_of_range", message)
    runs = low + (number - low) % (high - low + 1)
    message = f"{outside}. It runs as {runs}: seeds above the range start again at {low}."
    return ValueChange(spec.name, value, runs, "seed_out_of_range", message)


def _random_seed_change(spec: InputSpec, value: Json, reason: str) -> ValueChange:
    """Return the change of a seed to a random one, which is drawn when the job runs. `reason` begins its message."""
    low, _ = _seed_range(spec)
    message = f"{reason}. A random seed is drawn when the job runs."
    return ValueChange(spec.name, value, low, "seed_drawn", message, spec)


def _seed_text(number: int) -> str:
    """Return a seed as text for a message, or only its length if it is too long to show."""
    return str(number) if number.bit_length() <= LONGEST else f"of {number.bit_length()} bits"


def draw_seeds(prompt: Prompt, fields: Iterable[SeedField], rng: Random) -> tuple[Prompt, tuple[RandomInteger, ...]]:
    """Return (prompt with a random seed in each field, drawn seeds). The argument is not changed.

    Fields with the same `source` share a seed, which is in the range of each of them. Fields of missing nodes are
    skipped.
    """
    ranges: dict[str, tuple[int, int]] = {}
    present = [field for field in fields if field.node_id in prompt]
    for field in present:
        low, high = ranges.get(field.source, (0, LARGEST))
        ranges[field.source] = max(low, field.min), min(high, field.max)
    # If the ranges of the fields do not overlap, the largest minimum is used.
    drawn = {source: rng.randint(low, max(low, high)) for source, (low, high) in ranges.items()}
    changed = dict(prompt)
    for field in present:
        node = changed[field.node_id]
        changed[field.node_id] = {**node, "inputs": {**node["inputs"], field.input: drawn[field.source]}}
    return changed, tuple(RandomInteger(field.node_id, field.input, drawn[field.source]) for field in present)


def _seed_range(spec: InputSpec) -> tuple[int, int]:
    """Return (smallest, largest) seed that the class accepts, both inclusive."""
    low = 0 if spec.min is None else int(spec.min)
    return low, max(low, WITHOUT_MAX) if spec.max is None else max(low, int(spec.max))


def _as_integer(value: Json) -> int | None:
    """Return a value as an integer, or None if it is no number. Like ComfyUI, accepts text and truncates fractions."""
    if not isinstance(value, str | int | float):
        return None
    try:
        return int(value)
    except (ValueError, OverflowError):
        return None
