"""A worker during a run."""

from __future__ import annotations

from collections import deque

from worker.fleet.simulation.life import LifeInterval, LifeState, SimulatedLife

NO_JOB = -1


class SimulatedWorker:
    """One worker. It runs one job at a time, in the order in which it got them.

    Attributes:
        number: Number of the worker, from 0.
        speed: Speed relative to an RTX 4090.
        state: What it does, None once it is gone.
        stage: Counts the changes of `state`, so that planned events of an earlier state can be told.
        is_spare: Whether it will be stopped as soon as it has been created.
        running: Index of the running job, or NO_JOB.
        waiting: Indices of its other jobs.
        run_end_s: When the running job is predicted to end.
        waiting_s: Predicted seconds of the waiting jobs.
        load: Load of all its jobs, in reported units.
        kind: Kind of the last job that it started, whose models it has loaded.
        last_kind: Kind of the last job that it got.
        idle_since_s: When it was last left without a job.
        version: Counts the changes of its jobs, for the router.
        busy_s: Seconds in which it ran a job.
        jobs_done: Jobs that it has finished.
    """

    __slots__ = (
        *("busy_s", "has_failed", "idle_since_s", "is_spare", "jobs_done", "kind", "last_kind", "load", "number"),
        *("run_end_s", "running", "speed", "stage", "started_s", "state", "version", "waiting", "waiting_s"),
        *("_intervals", "_since_s"),
    )

    def __init__(self, number: int, speed: float, state: LifeState, now_s: float) -> None:
        self.number, self.speed = number, speed
        self.state: LifeState | None = state
        self.stage = self.version = self.jobs_done = 0
        self.is_spare = self.has_failed = False
        self.running = self.kind = self.last_kind = NO_JOB
        self.waiting: deque[int] = deque()
        self.run_end_s = self.waiting_s = self.load = self.busy_s = self.started_s = 0.0
        self.idle_since_s = self._since_s = now_s
        self._intervals: list[LifeInterval] = []

    @property
    def job_count(self) -> int:
        """Number of its jobs."""
        return len(self.waiting) + (self.running != NO_JOB)

    def enter(self, state: LifeState | None, now_s: float) -> None:
        """Change the state. None means that the worker is gone."""
        if self.state is not None and now_s > self._since_s:
            self._intervals.append(LifeInterval(self.state, self._since_s, now_s))
        self.state, self._since_s = state, now_s
        self.stage += 1
        self.idle_since_s = now_s

    def life(self) -> SimulatedLife:
        """Return what the worker was. It has to be gone."""
        return SimulatedLife(
            self.number, self.speed, tuple(self._intervals), self.busy_s, self.jobs_done, self.has_failed
        )
