"""The spread of several measurements of one thing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of all rounds, and the lower and upper quartile."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        """Return the spread of these values."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @classmethod
    def ratio(cls, ours: Sequence[float], theirs: Sequence[float]) -> Self:
        """Return the spread of the ratios of each round. A slow phase of the machine affects both values of a round."""
        return cls.of([our / their for our, their in zip(ours, theirs, strict=True)])

    def show(self, unit: str, digits: int = 2) -> str:
        """Return the spread as text."""
        return f"{self.median:.{digits}f} {unit} ({self.low:.{digits}f} .. {self.high:.{digits}f})"
