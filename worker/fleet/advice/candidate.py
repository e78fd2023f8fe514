"""A candidate of the search: a GPU, and values of the autoscaler's parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self


@dataclass(frozen=True, slots=True)
class Knob:
    """One parameter that is searched. A value of 0 or less may stand for "never", and is then the highest."""

    name: str
    values: tuple[float, ...]
    zero_is_never: bool = False

    def rank(self, value: float) -> float:
        """Return what values are ordered by."""
        return math.inf if self.zero_is_never and value <= 0 else value

    def step(self, value: float, direction: int) -> float | None:
        """Return the next value that is tried above (1) or below (-1) a value, None at the end."""
        ordered, here = sorted(self.values, key=self.rank), self.rank(value)
        if direction > 0:
            return next((each for each in ordered if self.rank(each) > here), None)
        return next((each for each in reversed(ordered) if self.rank(each) < here), None)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A choice of parameters. The names are those of the platform's own settings."""

    gpu: str
    settings: tuple[tuple[str, float], ...]

    def value(self, name: str) -> float:
        """Return the value of a parameter. Raises KeyError."""
        return dict(self.settings)[name]

    def having(self, **values: float) -> Self:
        """Return the candidate with other values of some parameters."""
        changed = tuple((name, values.get(name, value)) for name, value in self.settings)
        return replace(self, settings=changed)
