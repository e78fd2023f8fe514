"""Admission control: whether another job is accepted, and when a rejected client may retry. Nothing is awaited."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass, field
from pathlib import Path

from worker.errors import DiskFull, JournalUnavailable, WorkerBusy
from worker.job import Job
from worker.load.job_estimates import JobEstimates
from worker.load.node_work import JobWork
from worker.load.prediction import NOTHING
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
class AcceptedLoad:
    """Number of jobs that were accepted and have not ended, and the sum of their workloads in units."""

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
    estimates: JobEstimates
    _unfinished: dict[str, Job] = field(default_factory=dict)

    @property
    def load(self) -> AcceptedLoad:
        """The jobs that have not ended."""
        return AcceptedLoad(len(self._unfinished), sum(job.workload for job in self._unfinished.values()))

    def begin(self, job: Job, work: JobWork) -> None:
        """Count a job that was accepted, with the work of its prompt."""
        self._unfinished[job.folder] = job
        if job.request.handler is None:  # a handler needs no engine itself, and its prompts are jobs of their own
            self.estimates.begin(job, work)

    def end(self, job: Job) -> None:
        """Remove a job that has ended."""
        del self._unfinished[job.folder]
        self.estimates.end(job)

    def admit(self, free: int) -> None:
        """Raise WorkerBusy or DiskFull, with the seconds until a retry, when another job would exceed a limit.

        `free` are the free bytes of the disk.
        """
        if len(self._unfinished) >= self.limits.jobs:
            raise WorkerBusy(
                f"{len(self._unfinished)} jobs are waiting or running, which is the limit",
                retry_after_s=_bounded(self.estimates.next_end().p90_s),
            )
        wait = self.estimates.wait() if self.limits.wait_s else NOTHING
        if self.limits.wait_s and wait.p50_s > self.limits.wait_s:
            raise WorkerBusy(
                f"about {wait.p50_s:.0f} s of work are waiting or running, and the limit is {self.limits.wait_s:g} s",
                retry_after_s=_bounded(wait.p90_s - self.limits.wait_s),
            )
        if free < self.limits.free:
            raise DiskFull(
                f"the worker's disk has {free // MIB} MiB free, and a job may need {self.limits.free // MIB} MiB",
                retry_after_s=DISK_RETRY_S,
            )


def _bounded(seconds: float) -> float:
    """Return the seconds rounded up to whole ones for Retry-After, within its bounds."""
    return float(math.ceil(min(max(seconds, SHORTEST_RETRY_S), LONGEST_RETRY_S)))
