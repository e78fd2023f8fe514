"""Summarises what was learned for each kind of node and each model family, for people."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict, dataclass

from worker.load.learning.learned_state import Learned, LearnedState


@dataclass(frozen=True, slots=True)
class Branch:
    """The shapes of one kind, family and precision on one class of GPUs."""

    root: str
    kind: str
    family: str
    precision: str
    runs: float
    factor: float
    """How much longer the nodes take than the closed form predicts, without the effect of the machine."""
    noise: float
    """Standard deviation of one run, as a fraction."""

    def as_dict(self) -> dict[str, object]:
        """Return the branch as JSON data."""
        return asdict(self)


def branches(state: LearnedState) -> list[Branch]:
    """Return the branches of a state, sorted by their names."""
    effects: defaultdict[tuple[str, ...], list[Learned]] = defaultdict(list)
    for key, effect in state.shapes.items():
        effects[key[:4]].append(effect)
    return [_branch(names, effects[names]) for names in sorted(effects)]


def _branch(names: tuple[str, ...], effects: list[Learned]) -> Branch:
    """Return the branch of effects, weighted by their runs."""
    runs = sum(effect.runs for effect in effects)
    weights = [effect.runs / runs if runs else 1.0 / len(effects) for effect in effects]
    mean = sum(weight * effect.mean for weight, effect in zip(weights, effects, strict=True))
    noise = sum(weight * effect.noise for weight, effect in zip(weights, effects, strict=True))
    return Branch(names[0], names[1], names[2], names[3], runs, math.exp(mean), math.sqrt(noise))
