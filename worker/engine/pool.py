"""The engines of a worker: one ComfyUI, or one on each GPU. One GPU is a pool of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from worker.engine.catalogs import SharedCatalogs
from worker.engine.common_catalog import CommonCatalogCache
from worker.engine.config import EngineConfig
from worker.engine.engine import Engine
from worker.engine.estimates import Estimates
from worker.engine.leftovers import KillBudget
from worker.engine.process.failed_packs import FailedPack
from worker.engine.protocol.api import EngineInfo
from worker.engine.queue import JobQueue
from worker.events import Notify, ignore_event
from worker.job import Job, JobRef
from worker.load.pace import Pace, Paces
from worker.settings import ComfySettings, LimitSettings
from worker.supervision import Tasks
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.saved_models import NO_SAVED_MODELS, SavedModels
from worker.workflow.prompt import Prompt

SETTLE_S = 60.0
"""How long the other engines may take to start after the first one answers, where all of them are waited for."""


class EnginePool:
    """The engines as one. Entering the context starts them and does not wait until they answer.

    A job gets the engine that is expected to finish it first. An engine that dies takes its share of the speed away;
    the worker goes on as long as one is left. `sizes_of` returns the models of a prompt by name, with their bytes.
    """

    def __init__(
        self,
        configs: Sequence[EngineConfig],
        settings: ComfySettings,
        limits: LimitSettings,
        tasks: Tasks,
        notify: Notify = ignore_event,
        sizes_of: Callable[[Prompt, Catalog], Mapping[str, int | None]] = lambda *_: {},
    ) -> None:
        shared, self.kills = SharedCatalogs(), KillBudget()
        self.engines = tuple(Engine(config, settings, limits, tasks, notify, self.kills) for config in configs)
        for engine in self.engines:
            engine.client.catalogs.parse = shared
        self.paces = Paces({engine.name: Pace() for engine in self.engines})
        one = len(self.engines) == 1
        self.catalogs = self.first.client.catalogs if one else CommonCatalogCache(self.engines)
        managed = any(engine.managed for engine in self.engines)
        lost_s = max(settings.lost_s, settings.start_s if managed else 0.0)
        self._sizes_of = sizes_of
        self._queue = JobQueue(self.engines, Estimates(self.paces, self._sizes), 1 + limits.queue_ahead, lost_s)
        self._stack = AsyncExitStack()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            opening.push_async_callback(self._stack.aclose)
            for engine in self.engines:
                engine.changed = self._changes(engine)
                engine.has_alternative = self._others(engine)
                engine.another_is_free = self._others_free(engine)
                await self._stack.enter_async_context(engine)
            opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def configs(self) -> list[EngineConfig]:
        return [engine.config for engine in self.engines]

    @property
    def first(self) -> Engine:
        return self.engines[0]

    @property
    def alive(self) -> list[Engine]:
        """Engines that are reached; while none is, those that may come back, as their speed is not lost for good."""
        reached = [engine for engine in self.engines if engine.connected]
        return reached or [engine for engine in self.engines if engine.final_error is None] or list(self.engines)

    @property
    def share(self) -> float:
        """The part of the speed of all engines that those have which are alive, from 0 to 1."""
        return self.paces.share

    @property
    def connected(self) -> bool:
        """Whether a job that is sent now would run."""
        return any(engine.connected for engine in self.engines)

    @property
    def block_reason(self) -> str | None:
        """Why every engine that is reached is busy with a job that has ended; None where one is free."""
        reasons = [engine.leftovers.block_reason for engine in self.engines if engine.connected]
        return reasons[0] if reasons and all(reasons) else None

    @property
    def leftover_workload(self) -> float:
        """Workload of the jobs that have ended and whose nodes go on, in units."""
        leftovers = [engine.leftovers.running for engine in self.engines]
        return sum(leftover.workload for leftover in leftovers if leftover is not None)

    async def wait_until_free_of(self, job: JobRef) -> None:
        """Wait until no engine runs a job any more that has ended."""
        for engine in self.engines:
            await engine.leftovers.wait_until_gone(job)

    @property
    def recently_connected(self) -> bool:
        """One is there, or was a moment ago: a restart takes less time than to send a job to another machine."""
        return any(engine.client.recently_connected for engine in self.engines if engine.final_error is None)

    @property
    def restart_needed(self) -> str | None:
        """Why ComfyUI has to be restarted, where nobody here can."""
        return next((engine.restart_needed for engine in self.engines if engine.restart_needed), None)

    @property
    def failed_packs(self) -> tuple[FailedPack, ...] | None:
        """Node packs that an engine could not import; None where no engine is started by this worker."""
        known = [engine.supervisor.failed_packs for engine in self.engines if engine.supervisor is not None]
        return tuple({pack.name: pack for packs in known for pack in packs}.values()) if known else None

    @property
    def known_catalog(self) -> Catalog | None:
        """What every engine has, as it was read last; until then what WORKER_CATALOG has of it, if anything."""
        return self.catalogs.known

    async def catalog(self) -> Catalog:
        """Return what every engine has. Raises EngineUnavailable."""
        return await self.catalogs.get()

    async def saved_models(self) -> SavedModels:
        """Return the model files that jobs wrote and ComfyUI would list, of all engines together."""
        saved = NO_SAVED_MODELS
        for engine in self.engines:
            saved = saved.merged_with(await engine.client.catalogs.saved.scan())
        return saved

    async def info(self, name: str | None = None) -> EngineInfo:
        """Return what one engine says of itself, by default the first that is reached. Raises EngineUnavailable."""
        engine = self.named(name) if name is not None else None
        return await (engine or self.alive[0]).client.info()

    def named(self, name: str | None) -> Engine | None:
        """Return the engine of a name, None where there is none.

        A job of a worker that had one engine only names none: it is the first.
        """
        return next((engine for engine in self.engines if name in {None, engine.name}), None)

    def jobs(self, engine: Engine) -> int:
        """How many jobs have a place in an engine."""
        return self._queue.count(engine)

    def position(self, job: Job) -> int:
        """How many jobs run before a job that has not run."""
        return self._queue.position(job)

    def place(self, job: Job, only: Engine | None = None) -> AbstractAsyncContextManager[Engine]:
        """Wait for a place in the engine that is expected to finish the job first, or in `only`, and hold it.

        Raises EngineUnavailable when no engine can be reached for as long as jobs wait for one.
        """
        return self._queue.place(job, only)

    async def opened(self, timeout_s: float) -> None:
        """Wait until one engine answers. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while not self.connected:
                await self._next_change()

    async def settled(self) -> None:
        """Wait until every engine answers or is given up, or has taken too long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                while not all(engine.connected or engine.final_error for engine in self.engines):
                    await self._next_change()

    def _sizes(self, job: Job) -> Mapping[str, int | None]:
        catalog = self.known_catalog
        return self._sizes_of(job.request.prompt, catalog) if catalog is not None else {}

    async def _next_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _changes(self, engine: Engine) -> Callable[[], None]:
        def changed() -> None:
            if not engine.connected:
                self._queue.forget_models(engine)
            self.paces.alive = [one.name for one in self.alive]
            self._queue.assign_engines()
            self._changed.set()

        return changed

    def _others(self, engine: Engine) -> Callable[[], bool]:
        return lambda: any(other.final_error is None for other in self.engines if other is not engine)

    def _others_free(self, engine: Engine) -> Callable[[], bool]:
        return lambda: any(other.free for other in self.engines if other is not engine)
