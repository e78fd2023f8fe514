"""The figures of a run: waits, utilisation, GPU hours and dollars."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.outcome import FleetOutcome
from worker.fleet.simulation.platform import SimulatedPlatform

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class WaitFigures:
    """Seconds between the arrival of a job and its start. A job that failed waits forever, so figures can be infinite.

    The mean and the maximum are those of the served jobs. All are 0 without jobs.
    """

    p50_s: float
    p90_s: float
    p95_s: float
    p99_s: float
    mean_s: float
    max_s: float

    @classmethod
    def of(cls, waits_s: Sequence[float], failed: int = 0) -> WaitFigures:
        """Return the figures of these waits, and of `failed` further jobs."""
        ordered = sorted(waits_s)
        every = [*ordered, *[math.inf] * failed]
        return cls(
            p50_s=quantile(every, 0.5),
            p90_s=quantile(every, 0.9),
            p95_s=quantile(every, 0.95),
            p99_s=quantile(every, 0.99),
            mean_s=math.fsum(ordered) / len(ordered) if ordered else 0.0,
            max_s=ordered[-1] if ordered else 0.0,
        )


@dataclass(frozen=True, slots=True)
class FleetSummary:
    """The figures of one run.

    Attributes:
        jobs: Jobs of the trace.
        served: Jobs that were done.
        failed: All others.
        retries: Times that a job was started again.
        waits: How long jobs waited.
        utilisation: Seconds in which workers ran jobs, divided by the seconds in which they were ready.
        gpu_hours: Hours for which a GPU is billed.
        work_hours: Hours in which workers ran jobs.
        cold_starts: Times that a worker was created or started again.
        workers: Workers that existed.
        most_ready: Most workers that were ready at a time.
        usd: What the run costs, None without prices.
    """

    jobs: int
    served: int
    failed: int
    retries: int
    waits: WaitFigures
    utilisation: float
    gpu_hours: float
    work_hours: float
    cold_starts: int
    workers: int
    most_ready: int
    usd: float | None = None

    @property
    def usd_per_1000(self) -> float | None:
        """Dollars for 1,000 served jobs, None without prices or without a served job."""
        return None if self.usd is None or not self.served else 1000 * self.usd / self.served


def summarise(outcome: FleetOutcome, platform: SimulatedPlatform, usd: float | None = None) -> FleetSummary:
    """Return the figures of a run. `usd` is its bill."""
    waits = outcome.waits_s()
    failed = len(outcome.jobs) - len(waits)
    busy_s = sum(life.busy_s for life in outcome.lives)
    ready_s = sum(life.seconds((LifeState.READY, LifeState.DRAINING)) for life in outcome.lives)
    return FleetSummary(
        jobs=len(outcome.jobs),
        served=len(waits),
        failed=failed,
        retries=sum(outcome.attempts) - sum(attempts > 0 for attempts in outcome.attempts),
        waits=WaitFigures.of(waits, failed),
        utilisation=busy_s / ready_s if ready_s else 0.0,
        gpu_hours=sum(life.seconds(platform.billed) for life in outcome.lives) / HOUR,
        work_hours=busy_s / HOUR,
        cold_starts=sum(life.starts for life in outcome.lives),
        workers=len(outcome.lives),
        most_ready=max((sample.ready for sample in outcome.samples), default=0),
        usd=usd,
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the smallest value that at least `share` of the values do not exceed, 0 without values."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)] if ordered else 0.0
