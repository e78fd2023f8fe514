"""The learned effects as plain data, to keep them over a restart and to give them to other machines."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple, Self

from worker.load.learning.effect_tree import MAX_SHAPES, Key, spreads_of
from worker.load.learning.effects import Belief
from worker.load.learning.residency import LOAD_DRIFT, LOAD_SPREAD, LoadTimes, Tier
from worker.load.learning.warm_times import MACHINE_DRIFT, MACHINE_SPREAD, WarmTimes

VERSION = 1
"""Version of the closed form, which all effects are relative to, and of the format. Effects of another version are
of no use."""
MAX_BYTES = 200_000


class LearnedStateError(ValueError):
    """A learned state cannot be read."""


class Learned(NamedTuple):
    """Mean and variance of an effect, the runs behind it, and the variance of the noise of one run."""

    mean: float
    variance: float
    runs: float
    noise: float = 0.0

    def at_least(self, variance: float) -> Learned:
        """Return the same effect, less certain."""
        return self._replace(variance=max(self.variance, variance))


@dataclass(frozen=True, slots=True)
class StateHeader:
    """What the effects depend on. If it changes, they are less certain."""

    image: str = ""
    driver: str = ""
    gpu: str = ""
    torch: str = ""


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

    def under(self, header: StateHeader) -> LearnedState:
        """Return what this state is worth under a header: the same effects, less certain if the header differs."""
        if header == self.header:
            return self
        return replace(
            self,
            header=header,
            machines={name: effect.at_least(MACHINE_SPREAD / 2) for name, effect in self.machines.items()},
            tiers={name: effect.at_least(LOAD_SPREAD / 2) for name, effect in self.tiers.items()},
            shapes={key: effect.at_least(spreads_of(key).shape / 2) for key, effect in self.shapes.items()},
        )

    def over(self, priors: LearnedState) -> LearnedState:
        """Return this state, completed with what only the priors have."""
        shapes = {key: effect for key, effect in priors.shapes.items() if key not in self.shapes}
        return replace(
            self,
            tiers={**priors.tiers, **self.tiers},
            shapes={**shapes, **self.shapes},
            imported={**self.imported, **priors.imported},
        )

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON data of at most `MAX_BYTES`. The shapes that ran longest ago are left out first."""
        rows: list[list[object]] = []
        left = MAX_BYTES - 4096  # for the other fields
        for key, effect in reversed(list(self.shapes.items())):
            row = [*key, *effect]
            left -= len(json.dumps(row)) + 2
            if left < 0 or len(rows) == MAX_SHAPES:
                break
            rows.append(row)
        return {
            "version": VERSION,
            "header": asdict(self.header),
            "machines": {name: list(effect) for name, effect in self.machines.items()},
            "tiers": {name: list(effect) for name, effect in self.tiers.items()},
            "imported": dict(self.imported),
            "shapes": rows[::-1],
        }

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Return the state of JSON data; an empty one if it has another version.

        Raises:
            LearnedStateError: The data is no learned state.
        """
        if not isinstance(value, dict) or not isinstance(value.get("version"), int):
            raise LearnedStateError("it is no JSON object with a version")
        if value["version"] != VERSION:
            return cls()
        try:
            names = {header_field.name for header_field in fields(StateHeader)}
            header = {name: str(text) for name, text in value["header"].items() if name in names}
            rows = value["shapes"][-MAX_SHAPES:]
            return cls(
                StateHeader(**header),
                {str(name): _learned(effect) for name, effect in value["machines"].items()},
                {str(name): _learned(effect) for name, effect in value["tiers"].items()},
                {Key(*(str(part) for part in row[:6])): _learned(row[6:]) for row in rows},
                {str(name): _finite(runs) for name, runs in value["imported"].items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LearnedStateError(f"a part of it is missing or wrong: {error}") from error


def restore(state: LearnedState, warm: WarmTimes, loads: LoadTimes) -> None:
    """Give an estimator's parts what a state has."""
    for name, effect in state.machines.items():
        warm.machines[name] = Belief(effect.mean, effect.variance, MACHINE_DRIFT, effect.runs)
    for name, effect in state.tiers.items():
        if name in set(Tier):
            loads.tiers[Tier(name)] = Belief(effect.mean, effect.variance, LOAD_DRIFT, effect.runs)
    for key, effect in state.shapes.items():
        precision = 1.0 / effect.variance
        warm.tree.restore(key, precision, precision * effect.mean, effect.runs, effect.noise)


def saved(state: LearnedState, warm: WarmTimes, loads: LoadTimes) -> LearnedState:
    """Return what an estimator's parts have learned, with the header of the state that they started with."""
    shapes = {key: _rounded(*shape.own, shape.runs, shape.noise) for key, shape in warm.tree if shape.precision > 0}
    return replace(
        state,
        machines={name: _rounded(belief.mean, belief.variance, belief.runs) for name, belief in warm.machines.items()},
        tiers={str(tier): _rounded(b.mean, b.variance, b.runs) for tier, b in loads.tiers.items() if b.runs},
        shapes=shapes,
    )


def _rounded(mean: float, variance: float, runs: float, noise: float = 0.0) -> Learned:
    """Return an effect with as many digits as are worth keeping."""
    return Learned(round(mean, 4), float(f"{variance:.3g}"), round(runs), float(f"{noise:.3g}"))


def _learned(values: list[object]) -> Learned:
    """Return the effect of a list of four numbers.

    Raises:
        ValueError, TypeError: A number is missing or impossible.
    """
    effect = Learned(*(_finite(value) for value in values))
    if effect.variance <= 0 or effect.runs < 0 or effect.noise < 0 or abs(effect.mean) > 50:
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
