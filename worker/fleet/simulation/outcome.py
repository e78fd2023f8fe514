"""What a run of the simulation has shown: every job, every worker, and the fleet over time."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from worker.fleet.simulation.life import SimulatedLife
from worker.fleet.simulation.trace import TraceJob

NO_WORKER = -1


class FleetSample(NamedTuple):
    """The fleet at one moment, for plots.

    Attributes:
        at_s: Seconds since the start.
        ready: Workers that take jobs.
        starting: Workers that are being created, started or loaded.
        waiting: Jobs that no worker has yet.
        in_progress: Jobs that workers have.
    """

    at_s: float
    ready: int
    starting: int
    waiting: int
    in_progress: int


@dataclass(frozen=True, slots=True)
class JobRecord:
    """What happened to one job.

    Attributes:
        arrival_s: When it arrived.
        start_s: When its last attempt began, NaN if it never did.
        end_s: When it was done, NaN if it failed.
        worker: Number of the worker of the last attempt, -1 if there was none.
        attempts: Times that it was started.
    """

    arrival_s: float
    start_s: float
    end_s: float
    worker: int
    attempts: int

    @property
    def is_served(self) -> bool:
        """Whether the job was done."""
        return self.end_s == self.end_s

    @property
    def wait_s(self) -> float:
        """Seconds from arrival to the last start, NaN if it never started."""
        return self.start_s - self.arrival_s


@dataclass(frozen=True, slots=True)
class FleetOutcome:
    """The result of a run. The columns have one value for each job, in the order of the trace.

    Attributes:
        jobs: The trace.
        start_s: When the last attempt began, NaN if there was none.
        end_s: When the job was done, NaN if it failed.
        worker: Number of the worker of the last attempt, -1 if there was none.
        attempts: Times that the job was started.
        lives: The workers.
        samples: The fleet over time, at most about a thousand moments.
        ended_s: When the run ended. Workers are billed until then.
        gave_up: Whether the run ended early, because it was sure to miss its goal.
    """

    jobs: Sequence[TraceJob]
    start_s: array[float]
    end_s: array[float]
    worker: array[int]
    attempts: array[int]
    lives: tuple[SimulatedLife, ...]
    samples: tuple[FleetSample, ...]
    ended_s: float
    gave_up: bool

    def records(self) -> Iterator[JobRecord]:
        """Yield what happened to each job, in the order of the trace."""
        columns = zip(self.jobs, self.start_s, self.end_s, self.worker, self.attempts, strict=True)
        for job, start_s, end_s, worker, attempts in columns:
            yield JobRecord(job.at_s, start_s, end_s, worker, attempts)

    def waits_s(self) -> list[float]:
        """Return the waits of the served jobs in seconds, in the order of the trace."""
        columns = zip(self.jobs, self.start_s, self.end_s, strict=True)
        return [start - job.at_s for job, start, end in columns if end == end]  # noqa: PLR0124 - NaN differs from itself
