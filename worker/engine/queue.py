"""Jobs that wait for an engine, and those that each engine has."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from worker.engine.engine import Engine
from worker.engine.estimates import Estimates
from worker.engine.placement import AHEAD_S, EngineLoad, next_jobs
from worker.errors import EngineUnavailable
from worker.job import Job, JobState

AGAIN_S = 0.05
"""Shortest pause before engines are looked at again because time has passed."""


@dataclass(slots=True, eq=False)
class QueuedJob:
    """A job that waits for an engine, or has a place in one. `only` is the one engine that it can go to, if any."""

    job: Job
    number: int
    models: tuple[str, ...]
    only: Engine | None
    engine: asyncio.Future[Engine]
    expected_s: float = 0.0
    """How long it will take there, with loading its models."""

    @property
    def left_s(self) -> float:
        done_s = self.job.in_state_s if self.job.state is JobState.GENERATING else 0.0
        return max(0.0, self.expected_s - done_s)


@dataclass(slots=True)
class EngineJobs:
    """What one engine has: jobs with a place in it, and the models that they use, the most recent last."""

    engine: Engine
    placed: list[QueuedJob] = field(default_factory=list)
    used: tuple[str, ...] = ()

    def load(self, places: int) -> EngineLoad:
        left_s = sum(one.left_s for one in self.placed)
        return EngineLoad(self.engine.name, left_s, places - len(self.placed), self.used)


class JobQueue:
    """Gives each job a place in an engine, in the order in which the jobs were accepted.

    `places` is how many jobs an engine has at once: one that runs, and prepared ones that wait inside ComfyUI. When no
    engine can be reached for `lost_s`, the jobs that wait end with EngineUnavailable.
    """

    def __init__(self, engines: Sequence[Engine], estimates: Estimates, places: int, lost_s: float) -> None:
        self._engines = {engine.name: EngineJobs(engine) for engine in engines}
        self._estimates = estimates
        self._places = places
        self._lost_s = lost_s
        self._waiting: list[QueuedJob] = []
        self._numbers = itertools.count()
        self._again: asyncio.TimerHandle | None = None
        self._given_up: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def place(self, job: Job, only: Engine | None = None) -> AsyncIterator[Engine]:
        """Wait for a place and hold it. Raises EngineUnavailable."""
        models = self._estimates.models(job) if len(self._engines) > 1 else ()
        queued = QueuedJob(job, next(self._numbers), models, only, asyncio.get_running_loop().create_future())
        self._waiting.append(queued)
        self._waiting.sort(key=lambda one: (one.job.created_at, one.number))  # one that was lost comes first again
        try:
            self.assign_engines()
            engine = await queued.engine
            job.engine = engine.name
            yield engine
        finally:
            self._leave(queued)
            self.assign_engines()

    def count(self, engine: Engine) -> int:
        """How many jobs have a place in an engine."""
        return len(self._engines[engine.name].placed)

    def position(self, job: Job) -> int:
        """How many jobs run before this one: those ahead of it in its engine, or in all of them while it has none."""
        for jobs in self._engines.values():
            for place, queued in enumerate(jobs.placed):
                if queued.job is job:
                    return place
        waiting = [one for one in self._waiting if one.job is not job and one.job.created_at <= job.created_at]
        return len(waiting) + sum(len(jobs.placed) for jobs in self._engines.values())

    def forget_models(self, engine: Engine) -> None:
        """Its process has ended, and with it everything that was loaded."""
        self._engines[engine.name].used = ()

    def assign_engines(self) -> None:
        """Hand out places: a job has come or gone, an engine was reached or lost, or time has passed."""
        self._cancel_timers()
        if not self._waiting:
            return
        engines = [jobs for jobs in self._engines.values() if jobs.engine.free]
        for queued in [one for one in self._waiting if one.only is not None and one.only.connected]:
            self._hand(queued, self._engines[queued.only.name])  # type: ignore[union-attr]
        free = [one for one in self._waiting if one.only is None]
        loads = [jobs.load(self._places) for jobs in engines]
        for queued, name in self._next(free, loads):
            self._hand(queued, self._engines[name])
        self._set_timers([jobs.load(self._places) for jobs in engines])

    def _next(self, free: Sequence[QueuedJob], loads: Sequence[EngineLoad]) -> Sequence[tuple[QueuedJob, str]]:
        """The jobs that start now; of one engine there is nothing to choose, and nothing is estimated."""
        if len(self._engines) == 1:
            return [(queued, load.name) for load in loads for queued in free[: max(0, load.places)]]
        return next_jobs(free, loads, self._seconds, self._load_seconds)

    def _seconds(self, queued: QueuedJob, load: EngineLoad) -> float:
        return self._estimates.seconds(queued.job, load)

    def _load_seconds(self, queued: QueuedJob, load: EngineLoad) -> float:
        return self._estimates.load_seconds(queued.models, load)

    def _hand(self, queued: QueuedJob, jobs: EngineJobs) -> None:
        if len(self._engines) > 1:
            load = jobs.load(self._places)
            queued.expected_s = self._seconds(queued, load) + self._load_seconds(queued, load)
        self._waiting.remove(queued)
        jobs.placed.append(queued)
        jobs.used = (*(name for name in jobs.used if name not in queued.models), *queued.models)
        if not queued.engine.done():
            queued.engine.set_result(jobs.engine)

    def _leave(self, queued: QueuedJob) -> None:
        if queued in self._waiting:
            self._waiting.remove(queued)
        for jobs in self._engines.values():
            if queued in jobs.placed:
                jobs.placed.remove(queued)

    def _set_timers(self, loads: Sequence[EngineLoad]) -> None:
        later: Callable[..., asyncio.TimerHandle] = asyncio.get_running_loop().call_later
        if not self._waiting:
            return
        if loads:
            too_much = [load.queued_s - AHEAD_S for load in loads if load.places > 0 and load.queued_s > AHEAD_S]
            if len(loads) > 1 and too_much:
                self._again = later(max(AGAIN_S, min(too_much)), self.assign_engines)
        elif self._given_up is None and not self._reached:
            self._given_up = later(self._lost_s, self._give_up)

    def _cancel_timers(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._given_up is not None and (self._reached or not self._waiting):
            self._given_up.cancel()
            self._given_up = None

    @property
    def _reached(self) -> bool:
        return any(jobs.engine.connected for jobs in self._engines.values())

    def _give_up(self) -> None:
        self._given_up = None
        for queued in self._waiting:
            if not queued.engine.done():
                queued.engine.set_exception(EngineUnavailable("ComfyUI can't be reached"))
