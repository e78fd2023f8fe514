"""What a worker reports of its jobs to an autoscaler that scales by load."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from worker.fleet.simulation.trace import TraceJob
from worker.platforms.vast.settings import RunningJobs

CONSTANT = 100.0
"""Load of every job where work is not estimated: the default of Vast's SDK."""


class ReportedWork(StrEnum):
    """The unit of the load."""

    CONSTANT = "constant"
    """Every job is the same. A job counts in full until it is done."""
    FORMER_UNITS = "former-units"
    """The units of the former release, which underestimate videos. A job counts in full until it is done."""
    SECONDS = "seconds"
    """Units that follow the seconds of the jobs. Of a running job, its remaining seconds count."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """How a worker reports its load. Without arguments, as the worker does without settings.

    Attributes:
        work: The unit.
        running: How running jobs count in the load that is not yet done (WORKER_VAST_RUNNING), with SECONDS.
        metering: Whether new load is reported at the speed of one engine, instead of all of it when a job arrives
            (WORKER_VAST_METERING), with SECONDS.
        benchmark_s: Seconds of the benchmark's job on an RTX 4090, with CONSTANT. It decides the speed of a worker.
        former: Former units of a job, divided by its units, by its kind. 1 for kinds that are not listed.
        measured: Units a second that workers have measured, with SECONDS. Without it, they are those of the jobs.
    """

    work: ReportedWork = ReportedWork.SECONDS
    running: RunningJobs = RunningJobs.ALL
    metering: bool = True
    benchmark_s: float = 5.0
    former: Mapping[str, float] = field(default_factory=dict)
    measured: float | None = None

    def load(self, job: TraceJob) -> float:
        """Return the load of a job, in this report's units."""
        if self.work is ReportedWork.CONSTANT:
            return CONSTANT
        return job.units * (self.former.get(job.kind, 1.0) if self.work is ReportedWork.FORMER_UNITS else 1.0)

    def perf(self, jobs: Sequence[TraceJob]) -> float:
        """Return the units a second of a worker with the speed 1.

        With SECONDS it is learned from the jobs themselves, unless it was measured. With the others, a benchmark has
        measured it.
        """
        if self.work is ReportedWork.CONSTANT:
            return CONSTANT / self.benchmark_s
        seconds = sum(job.seconds for job in jobs)
        if self.work is ReportedWork.FORMER_UNITS or not seconds:
            return 1.0
        return self.measured or sum(job.units for job in jobs) / seconds
