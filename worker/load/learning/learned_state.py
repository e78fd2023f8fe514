"""The learned effects as plain data, to keep them over a restart and to give them to other machines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple, Self

from worker.errors import LearnedStateError
from worker.load.learning.effect_tree import MAX_SHAPES, Key
from worker.load.learning.effects import Belief, ShapeEffect
from worker.load.learning.load_times import LOAD_DRIFT, LOAD_SPREAD, LOADS, LoadTimes
from worker.load.learning.warm_times import MACHINE_DRIFT, WarmTimes
from worker.load.prediction import Z90

VERSION = 1
"""Version of the closed form, which all effects are relative to, and of the format. Effects of another version are
of no use."""
MAX_BYTES = 200_000
SMALLEST, LARGEST = 1e-9, 1e6
"""Bounds of possible variances. Beyond them, predictions are no numbers any more."""
MOST_RUNS = 1e12
CHANGED_VARIANCE = 0.05
"""Least variance of a shape's effect after the image, the driver or PyTorch has changed."""


class Learned(NamedTuple):
    """Mean and variance of an effect, and the runs behind it. A shape has its noise and `together` as well.

    `imported` is the number of runs that a shape was imported with. If it has no others, it is not known from here.
    """

    mean: float
    variance: float
    runs: float
    noise: float = 0.0
    together: float = 1.0
    imported: float = 0.0

    @property
    def is_own(self) -> bool:
        """Whether this machine has run the shape."""
        return self.runs != self.imported

    @property
    def rounded(self) -> Learned:
        """The same effect with as many digits as are worth storing."""
        mean, variance, runs, noise, together, imported = self
        variance, noise, together = (float(f"{number:.3g}") for number in (variance, noise, together))
        return Learned(round(mean, 4), variance, round(runs, 1), noise, together, round(imported, 1))

    def at_least(self, variance: float) -> Learned:
        """Return the same effect, less certain."""
        return self._replace(variance=max(self.variance, variance))


@dataclass(frozen=True, slots=True)
class StateHeader:
    """What the effects depend on. If it changes, they are less certain. `gpu` identifies the single GPUs."""

    image: str = ""
    driver: str = ""
    gpu: str = ""
    torch: str = ""

    def changes(self, other: StateHeader) -> set[str]:
        """Return the names of the fields that differ, without those that one of the two lacks."""
        pairs = {name: {getattr(self, name), getattr(other, name)} - {""} for name in HEADER_FIELDS}
        return {name for name, texts in pairs.items() if len(texts) > 1}


HEADER_FIELDS = tuple(header_field.name for header_field in fields(StateHeader))


@dataclass(frozen=True, slots=True)
class LearnedState:
    """Everything that an estimator has learned."""

    header: StateHeader = StateHeader()
    machines: Mapping[str, Learned] = field(default_factory=dict)
    """The effect of each engine's machine, compared with its GPU class."""
    tiers: Mapping[str, Learned] = field(default_factory=dict)
    shapes: Mapping[Key, Learned] = field(default_factory=dict)
    """Effects of nodes, compared with the closed form and without the machine's. The one that ran last at the end."""
    imported: Mapping[str, float] = field(default_factory=dict)
    """Runs behind the imported priors, by the name of the GPU class."""
    quantiles: tuple[float, float] = (Z90, Z90)
    """Standard deviations from p50 to p90, of jobs that load nothing and of those that do."""

    def under(self, header: StateHeader) -> LearnedState:
        """Return what this state is worth under another header. Fields that one of the two lacks do not count.

        Another GPU makes the effects of the machine void. Another image, driver or PyTorch makes all others less
        certain.
        """
        changed = self.header.changes(header)
        state = replace(self, header=header)
        if "gpu" in changed:
            state = replace(state, machines={})
        if changed - {"gpu"}:
            tiers = {name: effect.at_least(LOAD_SPREAD / 2) for name, effect in self.tiers.items()}
            shapes = {key: effect.at_least(CHANGED_VARIANCE) for key, effect in self.shapes.items()}
            state = replace(state, tiers=tiers, shapes=shapes)
        return state

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data of at most `MAX_BYTES`. The shapes that ran longest ago are left out first."""
        rows: list[list[object]] = []
        left = MAX_BYTES - 4096  # for the other fields
        for key, effect in reversed(list(self.shapes.items())):
            row = [*key, *effect.rounded]
            left -= len(json.dumps(row)) + 2
            if left < 0 or len(rows) == MAX_SHAPES:
                break
            rows.append(row)
        return {
            "version": VERSION,
            "header": asdict(self.header),
            "machines": {name: effect.rounded[:3] for name, effect in self.machines.items()},
            "tiers": {name: effect.rounded[:3] for name, effect in self.tiers.items()},
            "imported": dict(self.imported),
            "quantiles": list(self.quantiles),
            "shapes": rows[::-1],
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return the state of JSON data.

        Raises:
            LearnedStateError: The data is no learned state, or belongs to another closed form.
        """
        if not isinstance(value, dict) or not isinstance(value.get("version"), int):
            raise LearnedStateError("it is no JSON object with a version")
        if value["version"] != VERSION:
            raise LearnedStateError(f"it has the version {value['version']}, and this release uses {VERSION}")
        try:
            header = {name: str(value["header"].get(name, "")) for name in HEADER_FIELDS}
            rows = value["shapes"][-MAX_SHAPES:]
            return cls(
                StateHeader(**header),
                {str(name): _learned(effect) for name, effect in value["machines"].items()},
                {str(name): _learned(effect) for name, effect in value["tiers"].items()},
                {Key(*(str(part) for part in row[:6])): _learned(row[6:]) for row in rows},
                {str(name): _finite(runs) for name, runs in value["imported"].items()},
                (_finite(value["quantiles"][0]), _finite(value["quantiles"][1])),
            )
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise LearnedStateError(f"a part of it is missing or wrong: {error}") from error


def restore(state: LearnedState, warm: WarmTimes, loads: LoadTimes) -> None:
    """Give an estimator's parts what a state has."""
    for name, effect in state.machines.items():
        warm.machines[name] = Belief(effect.mean, effect.variance, MACHINE_DRIFT, effect.runs)
    for name, effect in state.tiers.items():
        if name in LOADS:
            loads.beliefs[LOADS[name]] = Belief(effect.mean, effect.variance, LOAD_DRIFT, effect.runs)
    for key, effect in state.shapes.items():
        warm.tree.restore(key, *effect[:5]).imported = effect.imported


def saved(state: LearnedState, warm: WarmTimes, loads: LoadTimes, quantiles: tuple[float, float]) -> LearnedState:
    """Return what an estimator's parts have learned, with the header of the state that they started with."""
    return replace(
        state,
        machines={name: Learned(belief.mean, belief.variance, belief.runs) for name, belief in warm.machines.items()},
        tiers={
            str(load): Learned(speed.mean, speed.variance, speed.runs)
            for load, speed in loads.beliefs.items()
            if speed.runs
        },
        shapes={key: _of_shape(shape) for key, shape in warm.tree if shape.precision > 0},
        quantiles=quantiles,
    )


def _of_shape(shape: ShapeEffect) -> Learned:
    """Return what is known about a shape."""
    mean, variance = shape.pull / shape.precision, 1.0 / shape.precision
    return Learned(mean, variance, shape.runs, shape.noise, shape.together, shape.imported)


def _learned(values: list[object]) -> Learned:
    """Return the effect of a list of numbers.

    Raises:
        ValueError, TypeError: A number is missing or impossible.
    """
    effect = Learned(*(_finite(value) for value in values))
    mean, variance, runs, noise, together, imported = effect
    counts_are_possible = 0 <= runs <= MOST_RUNS and 0 <= imported <= MOST_RUNS
    is_possible = abs(mean) <= 50 and SMALLEST <= variance <= LARGEST and counts_are_possible
    if not (is_possible and 0 <= noise <= LARGEST and SMALLEST <= together <= LARGEST):
        raise ValueError(f"impossible numbers {values}")
    return effect


def _finite(value: object) -> float:
    """Return a finite number.

    Raises:
        ValueError: The value is no finite number.
    """
    if not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{value!r} is no finite number")
    return float(value)
