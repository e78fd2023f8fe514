"""The queue of jobs that wait for an engine, and the jobs that each engine has."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from worker.engine.engine import Engine
from worker.engine.estimates import PlacementEstimates
from worker.engine.placement import AHEAD_S, EngineLoad, next_jobs
from worker.errors import EngineUnavailable
from worker.job import Job

AGAIN_S = 0.05
"""Shortest pause before jobs are assigned again because time has passed."""


@dataclass(slots=True, eq=False)
class QueuedJob:
    """A job that waits for an engine or has a place in one.

    `only` is the one engine that it can go to, or None for any. `engine` is set once the job has a place.
    """

    job: Job
    number: int
    models: tuple[str, ...]
    only: Engine | None
    engine: asyncio.Future[Engine]


@dataclass(slots=True)
class EngineJobs:
    """The jobs that have a place in one engine, and the models that they use, the most recent last."""

    engine: Engine
    placed: list[QueuedJob] = field(default_factory=list)
    used_models: tuple[str, ...] = ()


class JobQueue:
    """Gives each job a place in an engine, in the order in which the jobs were accepted.

    An engine has `places` jobs at once: one that runs, and prepared ones that wait inside ComfyUI. When no engine is
    connected for `lost_s` seconds, the waiting jobs end with EngineUnavailable.
    """

    def __init__(self, engines: Sequence[Engine], estimates: PlacementEstimates, places: int, lost_s: float) -> None:
        self._engines = {engine.name: EngineJobs(engine) for engine in engines}
        self._estimates = estimates
        self._places = places
        self._lost_s = lost_s
        self._waiting: list[QueuedJob] = []
        self._numbers = itertools.count()
        self._assign_timer: asyncio.TimerHandle | None = None
        self._give_up_timer: asyncio.TimerHandle | None = None

    @asynccontextmanager
    async def place(self, job: Job, only: Engine | None = None) -> AsyncIterator[Engine]:
        """Wait for a place in an engine, or in `only`, set `job.engine`, and hold the place inside the context.

        Raises EngineUnavailable when no engine was connected for `lost_s` seconds.
        """
        models = self._estimates.models(job) if len(self._engines) > 1 else ()
        queued = QueuedJob(job, next(self._numbers), models, only, asyncio.get_running_loop().create_future())
        self._waiting.append(queued)
        # A job whose engine has lost it was accepted earlier than the others, so it is first again.
        self._waiting.sort(key=lambda waiting_job: (waiting_job.job.created_at, waiting_job.number))
        try:
            self.assign_engines()
            engine = await queued.engine
            job.engine = engine.name
            yield engine
        finally:
            self._remove(queued)
            self.assign_engines()

    def count(self, engine: Engine) -> int:
        """Return the number of jobs that have a place in an engine."""
        return len(self._engines[engine.name].placed)

    def position(self, job: Job) -> int:
        """Return the number of jobs that run before this one.

        These are the jobs ahead of it in its engine, or those of all engines and of the queue while it has no engine.
        """
        for jobs in self._engines.values():
            for index, queued in enumerate(jobs.placed):
                if queued.job is job:
                    return index
        other_jobs = [queued.job for queued in self._waiting if queued.job is not job]
        earlier = [other for other in other_jobs if other.created_at <= job.created_at]
        return len(earlier) + sum(len(jobs.placed) for jobs in self._engines.values())

    def forget_models(self, engine: Engine) -> None:
        """Record that an engine has no model loaded, because its process has ended."""
        self._engines[engine.name].used_models = ()

    def assign_engines(self) -> None:
        """Assign waiting jobs to the engines that are free, first those that can go to one engine only.

        Call this when a job was added or removed, when an engine was connected or lost, and when time has passed.
        """
        self._cancel_timers()
        if not self._waiting:
            return
        engines = [jobs for jobs in self._engines.values() if jobs.engine.free]
        for queued in list(self._waiting):
            if queued.only is not None and queued.only.connected:
                self._assign(queued, self._engines[queued.only.name])
        unbound = [queued for queued in self._waiting if queued.only is None]
        loads = [self._load(jobs) for jobs in engines]
        for queued, name in self._next_jobs(unbound, loads):
            self._assign(queued, self._engines[name])
        self._set_timers([self._load(jobs) for jobs in engines])

    def _load(self, jobs: EngineJobs) -> EngineLoad:
        """Return the load of an engine. A single engine needs no estimates."""
        name = jobs.engine.name
        queued_s = self._estimates.queued_seconds(name) if len(self._engines) > 1 else 0.0
        return EngineLoad(name, queued_s, self._places - len(jobs.placed), jobs.used_models)

    def _next_jobs(self, jobs: Sequence[QueuedJob], loads: Sequence[EngineLoad]) -> Sequence[tuple[QueuedJob, str]]:
        """Return the jobs that start now, with the names of their engines. A single engine needs no estimates."""
        if len(self._engines) == 1:
            return [(queued, load.name) for load in loads for queued in jobs[: max(0, load.free_places)]]
        return next_jobs(jobs, loads, self._seconds, self._load_seconds)

    def _seconds(self, queued: QueuedJob, load: EngineLoad) -> float:
        """Return the seconds that a job runs on an engine."""
        return self._estimates.seconds(queued.job, load)

    def _load_seconds(self, queued: QueuedJob, load: EngineLoad) -> float:
        """Return the seconds to load a job's models on an engine."""
        return self._estimates.load_seconds(queued.models, load)

    def _assign(self, queued: QueuedJob, jobs: EngineJobs) -> None:
        """Give a job its place in an engine."""
        self._waiting.remove(queued)
        jobs.placed.append(queued)
        self._estimates.set_place(queued.job, jobs.engine.name)
        jobs.used_models = (*(name for name in jobs.used_models if name not in queued.models), *queued.models)
        if not queued.engine.done():
            queued.engine.set_result(jobs.engine)

    def _remove(self, queued: QueuedJob) -> None:
        """Remove a job from the queue and from its engine."""
        if queued in self._waiting:
            self._waiting.remove(queued)
        for jobs in self._engines.values():
            if queued in jobs.placed:
                jobs.placed.remove(queued)
                self._estimates.remove_place(queued.job)

    def _set_timers(self, loads: Sequence[EngineLoad]) -> None:
        """Schedule the next assignment, or the end of all waiting jobs while no engine is connected."""
        call_later: Callable[..., asyncio.TimerHandle] = asyncio.get_running_loop().call_later
        if not self._waiting:
            return
        if loads:  # with enough work on each engine, jobs are assigned later, when it gets less
            excess_s = [load.queued_s - AHEAD_S for load in loads if load.free_places > 0 and load.queued_s > AHEAD_S]
            if len(loads) > 1 and excess_s:
                self._assign_timer = call_later(max(AGAIN_S, min(excess_s)), self.assign_engines)
        elif self._give_up_timer is None and not self._is_connected:
            self._give_up_timer = call_later(self._lost_s, self._give_up)

    def _cancel_timers(self) -> None:
        """Cancel the next assignment, and the end of the waiting jobs if an engine is connected or no job waits."""
        if self._assign_timer is not None:
            self._assign_timer.cancel()
            self._assign_timer = None
        if self._give_up_timer is not None and (self._is_connected or not self._waiting):
            self._give_up_timer.cancel()
            self._give_up_timer = None

    @property
    def _is_connected(self) -> bool:
        """Whether an engine is connected."""
        return any(jobs.engine.connected for jobs in self._engines.values())

    def _give_up(self) -> None:
        """End the waiting jobs, because no engine was connected for too long."""
        self._give_up_timer = None
        for queued in self._waiting:
            if not queued.engine.done():
                queued.engine.set_exception(EngineUnavailable("ComfyUI cannot be reached"))
