"""The size of a run, and what happens to its workers and calls."""

from __future__ import annotations

from dataclasses import dataclass

from worker.simulators.runpod import FaultRule, RunpodFault


@dataclass(frozen=True, slots=True)
class RunpodPlan:
    """A run. A worker is stopped or killed every `kill_every_s` seconds, in turns. `cancel_share` of jobs is cancelled.

    The run fails when it takes longer than `limit_s` seconds.
    """

    jobs: int
    limit_s: float
    workers: int = 3
    seed: int = 1
    kill_every_s: float = 12.0
    cancel_share: float = 0.02


FULL = RunpodPlan(jobs=10_000, limit_s=1200.0, kill_every_s=20.0)
SHORT = RunpodPlan(jobs=500, limit_s=180.0, workers=2, kill_every_s=8.0)


def faults() -> list[FaultRule]:
    """Return the faults of calls, each with its share. No take loses its response: the job would stay in progress."""
    return [
        FaultRule("job-done", RunpodFault.DROPPED, times=None, share=0.02),
        FaultRule("job-done", RunpodFault.CLOSED, times=None, share=0.02),
        FaultRule("job-done", RunpodFault.STATUS, times=None, share=0.03, status=500),
        FaultRule("job-done", RunpodFault.STATUS, times=None, share=0.01, status=429),
        FaultRule("job-take", RunpodFault.STATUS, times=None, share=0.01, status=500),
        FaultRule("job-take", RunpodFault.CLOSED, times=None, share=0.01),
        FaultRule("job-stop", RunpodFault.STATUS, times=None, share=0.05, status=500),
        FaultRule("ping", RunpodFault.CLOSED, times=None, share=0.05),
    ]
