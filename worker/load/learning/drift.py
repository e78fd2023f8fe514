"""Notices that a machine has become slower or faster for good: throttling, a neighbour, a changed clock."""

from __future__ import annotations

import math
from dataclasses import dataclass

SLACK = 0.75
"""Standard deviations that a job may be off without counting as a sign of a change."""
LIMIT = 6.5
"""Sum of deviations beyond the slack at which the change counts as real."""
OUTLIER = 2.5
"""Largest deviation that counts, so that a few outliers are no change."""
SUDDEN, STILL_SLOW, SUDDEN_JOBS = math.log(2.0), math.log(1.5), 3
"""Residual of the first job on a machine that has suddenly become slow, least residual of the next ones, whose
predictions have begun to follow, and number of jobs in a row that are no outliers."""


@dataclass(frozen=True, slots=True)
class Drift:
    """An engine has become slower (`factor` above 1) or faster (below 1) than it was."""

    engine: str
    factor: float


@dataclass(slots=True)
class _Sum:
    """The sum of deviations in one direction (CUSUM) since it was last zero, and the residuals behind it."""

    total: float = 0.0
    residuals: float = 0.0
    jobs: int = 0

    def add(self, deviations: float, residual: float) -> bool:
        """Add a job, and return whether the change counts as real."""
        self.total += min(deviations, OUTLIER) - SLACK
        if self.total <= 0:
            self.total, self.residuals, self.jobs = 0.0, 0.0, 0
            return False
        self.residuals += residual
        self.jobs += 1
        return self.total > LIMIT


class DriftDetector:
    """Watches the residuals of one engine: the logarithm of seconds, minus that of the predicted ones."""

    def __init__(self) -> None:
        self._slower, self._faster = _Sum(), _Sum()
        self._slow_jobs: list[float] = []
        """Residuals of the last jobs, as far as all of them were far too slow."""

    def add(self, residual: float, deviation: float) -> float | None:
        """Add the residual of a job. Return the mean residual since the change if it is a lasting one, else None."""
        if residual > max(STILL_SLOW if self._slow_jobs else SUDDEN, OUTLIER * deviation):
            self._slow_jobs.append(residual)
        else:
            self._slow_jobs.clear()
        slower = self._slower.add(residual / deviation, residual)
        faster = self._faster.add(-residual / deviation, residual)
        if len(self._slow_jobs) >= SUDDEN_JOBS:
            mean = sum(self._slow_jobs) / len(self._slow_jobs)
        elif slower or faster:
            change = self._slower if slower else self._faster
            mean = change.residuals / change.jobs
        else:
            return None
        self._slower, self._faster, self._slow_jobs = _Sum(), _Sum(), []
        return mean
