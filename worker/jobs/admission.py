"""Admission control: whether another job is accepted, and when a rejected client may retry. Nothing is awaited."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from worker.errors import DiskFull, JournalUnavailable, WorkerBusy
from worker.job import Job, JobState
from worker.load.pace import Paces
from worker.settings import LimitSettings

SHORTEST_RETRY_S, LONGEST_RETRY_S = 1.0, 300.0
"""Bounds of Retry-After in seconds."""
DISK_RETRY_S = 10.0
"""Retry-After for a full disk."""
MIB = 1024 * 1024


def free_bytes(state: Path) -> int:
    """Return the free bytes of the state folder's disk. Raises JournalUnavailable when it cannot be read."""
    try:
        return shutil.disk_usage(state).free
    except OSError as error:
        raise JournalUnavailable(f"the worker's state folder cannot be read: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Load:
    """Number of jobs that were accepted and have not ended, and the sum of their workloads."""

    jobs: int = 0
    workload: float = 0.0


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """Limits of admission, where 0 means no limit.

    `wait_s` are the seconds of work that may be queued before a new job. `free` are the bytes of disk that have to be
    free.
    """

    jobs: int
    wait_s: float = 0.0
    free: int = 0

    @classmethod
    def of(cls, settings: LimitSettings) -> AdmissionLimits:
        """Return the limits of the settings."""
        return cls(settings.max_queue, settings.max_wait_s, settings.min_free * MIB)


@dataclass(slots=True)
class Admission:
    """Counts the jobs that have not ended, and decides whether another one is accepted."""

    limits: AdmissionLimits
    pace: Paces = field(default_factory=Paces)
    load: Load = field(default_factory=Load)
    _unfinished: dict[str, Job] = field(default_factory=dict)

    def begin(self, job: Job) -> None:
        """Count a job that was accepted."""
        self._unfinished[job.folder] = job
        self.load = Load(self.load.jobs + 1, self.load.workload + job.workload)

    def end(self, job: Job) -> None:
        """Remove a job that has ended. The run time of a completed one updates the measured speed of its engine."""
        del self._unfinished[job.folder]
        self.load = Load(self.load.jobs - 1, self.load.workload - job.workload)
        if job.state is JobState.COMPLETED:
            self.pace.record(job.engine, job.workload, job.stages.get(JobState.GENERATING, 0.0))

    def admit(self, free: int) -> None:
        """Raise WorkerBusy or DiskFull, with the seconds until a retry, when another job would exceed a limit.

        `free` are the free bytes of the disk.
        """
        if self.load.jobs >= self.limits.jobs:
            raise WorkerBusy(
                f"{self.load.jobs} jobs are waiting or running, which is the limit", retry_after_s=self._one_job_s()
            )
        wait_s = self.wait_s()
        if self.limits.wait_s and wait_s > self.limits.wait_s:
            raise WorkerBusy(
                f"about {wait_s:.0f} s of work are waiting or running, and the limit is {self.limits.wait_s:g} s",
                retry_after_s=_bounded(wait_s - self.limits.wait_s),
            )
        if free < self.limits.free:
            raise DiskFull(
                f"the worker's disk has {free // MIB} MiB free, and a job may need {self.limits.free // MIB} MiB",
                retry_after_s=DISK_RETRY_S,
            )

    def wait_s(self) -> float:
        """Return the seconds until all current jobs have run, at the measured speed of the connected engines.

        This is 0 before the first measurement.
        """
        units_per_s = self.pace.units_per_s if self._unfinished else 0.0
        if not units_per_s:
            return 0.0
        return sum(self._units_left(job) for job in self._unfinished.values()) / units_per_s

    def _one_job_s(self) -> float:
        """Return the seconds that a job of average workload takes, for Retry-After."""
        units_per_s = self.pace.units_per_s
        if not (self.load.jobs and units_per_s):
            return SHORTEST_RETRY_S
        mean_workload = self.load.workload / self.load.jobs
        return _bounded(mean_workload / units_per_s)

    def _units_left(self, job: Job) -> float:
        """Return the units of a job's workload that have not run yet, by the time that it has run."""
        if job.state is JobState.DELIVERING:
            return 0.0
        done_s = job.in_state_s if job.state is JobState.GENERATING else 0.0
        return max(0.0, job.workload - done_s * self.pace.of(job.engine))


def _bounded(seconds: float) -> float:
    """Return the seconds rounded up to whole ones for Retry-After, within its bounds."""
    return float(math.ceil(min(max(seconds, SHORTEST_RETRY_S), LONGEST_RETRY_S)))
