"""How full a worker is: for the router that compares workers, and for the load that it reports."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from worker.fleet.simulation.load_report import LoadReport, ReportedWork
from worker.fleet.simulation.run.workers import NO_JOB, SimulatedWorker
from worker.platforms.vast.settings import RunningJobs

IDLE, BUSY = -2.0, -1.0
"""Positions of workers before all that have a time as their position."""
BUSY_S = 1.0
"""Seconds that a running job counts at most, with `RunningJobs.EXCESS`, while no job waits behind it."""


class Gauge(Protocol):
    """Measures the queue of a worker.

    `position` orders workers by their queue time, and changes only with the jobs of a worker, not with time.
    `queue_s` is the queue time in seconds. If `falls_with_time`, it is `position - now_s` where that is positive.
    """

    @property
    def falls_with_time(self) -> bool:
        """Whether a queue becomes shorter without an event."""
        ...

    def position(self, worker: SimulatedWorker) -> float:
        """Return the position of a worker among all."""
        ...

    def queue_s(self, worker: SimulatedWorker, now_s: float) -> float:
        """Return the queue time of a worker."""
        ...


@dataclass(frozen=True, slots=True)
class JobCount:
    """Counts jobs. A pool does not know more of its workers."""

    falls_with_time: bool = False

    def position(self, worker: SimulatedWorker) -> float:
        """Return the number of jobs."""
        return float(worker.job_count)

    def queue_s(self, worker: SimulatedWorker, now_s: float) -> float:
        """Return the number of jobs."""
        return float(worker.job_count)


@dataclass(frozen=True, slots=True)
class CountedLoad:
    """Load in which a job counts in full until it is done. `perf` is the load a second of a worker of speed 1."""

    perf: float
    falls_with_time: bool = False

    def position(self, worker: SimulatedWorker) -> float:
        """Return the queue time."""
        return worker.load / (worker.speed * self.perf)

    def queue_s(self, worker: SimulatedWorker, now_s: float) -> float:
        """Return the load divided by the speed."""
        return worker.load / (worker.speed * self.perf)


@dataclass(frozen=True, slots=True)
class RemainingSeconds:
    """Predicted seconds of all jobs: WORKER_VAST_RUNNING=all."""

    falls_with_time: bool = True

    def position(self, worker: SimulatedWorker) -> float:
        """Return the time at which the worker is expected to be idle."""
        return IDLE if worker.running == NO_JOB else worker.run_end_s + worker.waiting_s

    def queue_s(self, worker: SimulatedWorker, now_s: float) -> float:
        """Return the remaining seconds."""
        if worker.running == NO_JOB:
            return 0.0
        return max(worker.run_end_s - now_s, 0.0) + worker.waiting_s


@dataclass(frozen=True, slots=True)
class ExcessSeconds:
    """The same, but a job with none behind it counts at most a second: WORKER_VAST_RUNNING=excess."""

    falls_with_time: bool = True

    def position(self, worker: SimulatedWorker) -> float:
        """Return the time at which the worker is expected to be idle, if a job waits."""
        if worker.waiting:
            return worker.run_end_s + worker.waiting_s
        return IDLE if worker.running == NO_JOB else BUSY

    def queue_s(self, worker: SimulatedWorker, now_s: float) -> float:
        """Return the remaining seconds, or at most one if no job waits."""
        if worker.running == NO_JOB:
            return 0.0
        remaining = max(worker.run_end_s - now_s, 0.0) + worker.waiting_s
        return remaining if worker.waiting else min(remaining, BUSY_S)


@dataclass(frozen=True, slots=True)
class WaitingSeconds:
    """Predicted seconds of the jobs that wait at the worker: WORKER_VAST_RUNNING=none."""

    falls_with_time: bool = False

    def position(self, worker: SimulatedWorker) -> float:
        """Return the seconds of the waiting jobs."""
        return worker.waiting_s

    def queue_s(self, worker: SimulatedWorker, now_s: float) -> float:
        """Return the seconds of the waiting jobs."""
        return worker.waiting_s


_SECONDS: dict[RunningJobs, Gauge] = {
    RunningJobs.ALL: RemainingSeconds(),
    RunningJobs.EXCESS: ExcessSeconds(),
    RunningJobs.NONE: WaitingSeconds(),
}


def reported_gauge(report: LoadReport, perf: float) -> Gauge:
    """Return the gauge of the load that workers report. Its queue time is the reported load divided by the speed."""
    return _SECONDS[report.running] if report.work is ReportedWork.SECONDS else CountedLoad(perf)
