"""Several measurements of one thing."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of all rounds, and the quartiles: half of the rounds lie between them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)

    @classmethod
    def ratio(cls, ours: Sequence[float], theirs: Sequence[float]) -> Self:
        """Round by round: what slows the machine down for a while slows both."""
        return cls.of([one / other for one, other in zip(ours, theirs, strict=True)])

    def show(self, unit: str, digits: int = 2) -> str:
        return f"{self.median:.{digits}f} {unit} ({self.low:.{digits}f} .. {self.high:.{digits}f})"
