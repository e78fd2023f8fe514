"""Errors of predictions, and the smallest errors that were possible: the floor. Pure functions."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Outcome:
    """One job: its group, the seconds that it took, and what was predicted before it ran.

    Jobs of one group would have taken the same time without noise.
    """

    group: Hashable
    seconds: float
    p50_s: float
    p90_s: float = 0.0

    @property
    def error(self) -> float:
        """Error of the prediction, relative to the seconds that the job took."""
        return abs(self.p50_s - self.seconds) / self.seconds


@dataclass(frozen=True, slots=True)
class ErrorSummary:
    """The median and the 90 % quantile of relative errors, as fractions."""

    median: float
    p90: float

    @classmethod
    def of(cls, errors: Iterable[float]) -> Self:
        """Return the summary of at least one error."""
        ordered = sorted(errors)
        return cls(statistics.median(ordered), ordered[min(len(ordered) - 1, int(0.9 * len(ordered)))])

    def __str__(self) -> str:
        """Return both as percentages."""
        return f"{self.median:.1%} / {self.p90:.1%}"


def floor(outcomes: Sequence[Outcome]) -> ErrorSummary:
    """Return the errors of the best constant for each group, which only hindsight knows: the group's median."""
    seconds_by_group: defaultdict[Hashable, list[float]] = defaultdict(list)
    for outcome in outcomes:
        seconds_by_group[outcome.group].append(outcome.seconds)
    medians = {group: statistics.median(seconds) for group, seconds in seconds_by_group.items()}
    return ErrorSummary.of(abs(medians[row.group] - row.seconds) / row.seconds for row in outcomes)


def coverage(outcomes: Sequence[Outcome]) -> float:
    """Return the share of jobs that took at most their p90."""
    return statistics.fmean(outcome.seconds <= outcome.p90_s for outcome in outcomes)
