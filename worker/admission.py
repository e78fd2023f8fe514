"""Who may come in, and when the others are told to come back. Plain decisions; nothing is awaited here."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from worker.errors import DiskFull, WorkerBusy
from worker.job import Job, JobState

SMOOTHING = 0.2
"""Weight of the newest job in the measured pace."""
SHORTEST_RETRY_S, LONGEST_RETRY_S = 1.0, 300.0
DISK_RETRY_S = 10.0
MIB = 1024 * 1024


@dataclass(slots=True)
class Pace:
    """How fast the engine works, in workload units a second, learnt from finished jobs; 0 before the first one."""

    units_per_s: float = 0.0

    def learn(self, workload: float, generating_s: float) -> None:
        if generating_s <= 0:
            return
        seen = workload / generating_s
        self.units_per_s = seen if not self.units_per_s else self.units_per_s + SMOOTHING * (seen - self.units_per_s)


@dataclass(frozen=True, slots=True)
class Load:
    """Jobs accepted and not ended, and the sum of their workloads."""

    jobs: int = 0
    workload: float = 0.0


@dataclass(frozen=True, slots=True)
class Limits:
    """0 is no limit. `wait_s`: seconds of work that may wait before a new job; `free`: bytes that have to be free."""

    jobs: int
    wait_s: float = 0.0
    free: int = 0


@dataclass(slots=True)
class Admission:
    """Keeps count of what is under way, and says whether one more may come in."""

    limits: Limits
    pace: Pace = field(default_factory=Pace)
    load: Load = field(default_factory=Load)
    _under_way: dict[str, Job] = field(default_factory=dict)

    def begin(self, job: Job) -> None:
        self._under_way[job.folder] = job
        self.load = Load(self.load.jobs + 1, self.load.workload + job.workload)

    def end(self, job: Job) -> None:
        del self._under_way[job.folder]
        self.load = Load(self.load.jobs - 1, self.load.workload - job.workload)
        if job.state is JobState.COMPLETED:
            self.pace.learn(job.workload, job.stages.get(JobState.GENERATING, 0.0))

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
        """Seconds until the jobs that are here will have run, by the measured pace. What has run already is no wait."""
        if not self.pace.units_per_s:
            return 0.0
        return sum(map(self._left_s, self._under_way.values()))

    def _left_s(self, job: Job) -> float:
        if job.state is JobState.DELIVERING:
            return 0.0
        done_s = job.in_state_s if job.state is JobState.GENERATING else 0.0
        return max(0.0, job.workload / self.pace.units_per_s - done_s)

    def _one_job_s(self) -> float:
        """Until about one job of those here has ended."""
        if not self.load.jobs or not self.pace.units_per_s:
            return SHORTEST_RETRY_S
        return _bounded(self.load.workload / self.load.jobs / self.pace.units_per_s)


def _bounded(seconds: float) -> float:
    """Whole seconds that a client may be told."""
    return float(math.ceil(min(max(seconds, SHORTEST_RETRY_S), LONGEST_RETRY_S)))
