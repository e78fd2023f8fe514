"""Who may come in, and when the others are told to come back. Plain decisions; nothing is awaited here."""

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
DISK_RETRY_S = 10.0
MIB = 1024 * 1024


def free_bytes(state: Path) -> int:
    """Return the room for another job. Raises JournalUnavailable where the state folder can't be reached."""
    try:
        return shutil.disk_usage(state).free
    except OSError as error:
        raise JournalUnavailable(f"the worker's state folder can't be reached: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class Load:
    """Jobs accepted and not ended, and the sum of their workloads."""

    jobs: int = 0
    workload: float = 0.0


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """0 is no limit. `wait_s`: seconds of work that may wait before a new job; `free`: bytes that have to be free."""

    jobs: int
    wait_s: float = 0.0
    free: int = 0

    @classmethod
    def of(cls, settings: LimitSettings) -> AdmissionLimits:
        return cls(settings.max_queue, settings.max_wait_s, settings.min_free * MIB)


@dataclass(slots=True)
class Admission:
    """Keeps count of what is under way, and says whether one more may come in."""

    limits: AdmissionLimits
    pace: Paces = field(default_factory=Paces)
    load: Load = field(default_factory=Load)
    _under_way: dict[str, Job] = field(default_factory=dict)

    def begin(self, job: Job) -> None:
        self._under_way[job.folder] = job
        self.load = Load(self.load.jobs + 1, self.load.workload + job.workload)

    def end(self, job: Job) -> None:
        del self._under_way[job.folder]
        self.load = Load(self.load.jobs - 1, self.load.workload - job.workload)
        if job.state is JobState.COMPLETED:
            self.pace.record(job.engine, job.workload, job.stages.get(JobState.GENERATING, 0.0))

    def admit(self, free: int) -> None:
        """Raises WorkerBusy, with the time until it is worth coming back, and DiskFull; `free` is in bytes."""
        if self.load.jobs >= self.limits.jobs:
            raise WorkerBusy(
                f"{self.load.jobs} jobs are waiting or running, the limit", retry_after_s=self._one_job_s()
            )
        wait_s = self.wait_s()
        if self.limits.wait_s and wait_s > self.limits.wait_s:
            raise WorkerBusy(
                f"about {wait_s:.0f} s of work are waiting or running, and {self.limits.wait_s:g} s are the limit",
                retry_after_s=_bounded(wait_s - self.limits.wait_s),
            )
        if free < self.limits.free:
            raise DiskFull(
                f"only {free // MIB} MiB are free on the worker's disk, and a job may need {self.limits.free // MIB}",
                retry_after_s=DISK_RETRY_S,
            )

    def wait_s(self) -> float:
        """Seconds until the jobs that are here will have run, by the measured pace of the engines that are alive.

        What has run already is no wait.
        """
        pace = self.pace.units_per_s if self._under_way else 0.0
        return sum(self._units_left(job) for job in self._under_way.values()) / pace if pace else 0.0

    def _one_job_s(self) -> float:
        """Until about one job of those here has ended."""
        pace = self.pace.units_per_s
        return _bounded(self.load.workload / self.load.jobs / pace) if self.load.jobs and pace else SHORTEST_RETRY_S

    def _units_left(self, job: Job) -> float:
        if job.state is JobState.DELIVERING:
            return 0.0
        done_s = job.in_state_s if job.state is JobState.GENERATING else 0.0
        return max(0.0, job.workload - done_s * self.pace.of(job.engine))


def _bounded(seconds: float) -> float:
    """Whole seconds that a client may be told."""
    return float(math.ceil(min(max(seconds, SHORTEST_RETRY_S), LONGEST_RETRY_S)))
