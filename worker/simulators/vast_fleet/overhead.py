"""What a replay adds to the time of a job, and the simulation does not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.simulators.vast_fleet.played_job import PlayedJob


@dataclass(frozen=True, slots=True)
class ReplayOverhead:
    """Seconds of the trace that a job occupies its worker beyond those that its nodes were told to run.

    Attributes:
        running_s: Mean time of ComfyUI's events, of small nodes and of saving, and of starting the next prompt that
            the worker already has.
        idle_s: Mean time in which a worker was idle although the job waited at the router.
    """

    running_s: float = 0.0
    idle_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Both together."""
        return self.running_s + self.idle_s


def measured_overhead(jobs: Sequence[PlayedJob]) -> ReplayOverhead:
    """Return the mean overhead of the jobs of a replay.

    Between two jobs of a worker, there is a gap. If the worker had the second job already, the gap is part of
    `running_s`. If that job waited at the router, the gap is part of `idle_s`. Otherwise there was nothing to do.
    """
    if not jobs:
        return ReplayOverhead()
    running_s = idle_s = 0.0
    formers: dict[int, PlayedJob] = {}
    for job in sorted(jobs, key=lambda job: job.started_s):
        former = formers.get(job.worker)
        formers[job.worker] = job
        load_s = job.load_s if former is None or former.kind != job.kind else 0.0
        running_s += job.ended_s - job.started_s - job.seconds - load_s
        gap_s = max(0.0, job.started_s - former.ended_s) if former is not None else 0.0
        if former is not None and job.entered_s < former.ended_s:
            running_s += gap_s
        elif former is not None and job.sent_s < former.ended_s:
            idle_s += gap_s
    return ReplayOverhead(running_s / len(jobs), idle_s / len(jobs))
