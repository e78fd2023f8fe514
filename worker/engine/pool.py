"""The engines of a worker: one ComfyUI, or one on each GPU. A single engine is a pool of one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from types import TracebackType
from typing import Self

from worker.engine.catalogs import SharedCatalogs
from worker.engine.common_catalog import CommonCatalogCache
from worker.engine.config import EngineConfig
from worker.engine.engine import Engine
from worker.engine.estimates import PlacementEstimates
from worker.engine.leftovers import KillBudget
from worker.engine.process.failed_packs import FailedPack
from worker.engine.protocol.responses import EngineInfo
from worker.engine.queue import JobQueue
from worker.errors import EngineUnavailable
from worker.events import Notify, ignore_event
from worker.job import Job, JobRef
from worker.load.gpu_classes import gpu_class
from worker.load.job_estimates import JobEstimates
from worker.load.learning.estimator import Estimator
from worker.settings import ComfySettings, LimitSettings
from worker.supervision import Tasks
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.saved_models import NO_SAVED_MODELS, SavedModels

SETTLE_S = 60.0
"""Seconds that the other engines may take to connect after the first one, where all of them are needed."""


class EnginePool:
    """All engines of a worker. Entering the context starts them and does not wait until they are ready.

    A job gets the engine that is expected to finish it first. The worker goes on as long as one engine is left.
    """

    def __init__(
        self,
        configs: Sequence[EngineConfig],
        settings: ComfySettings,
        limits: LimitSettings,
        tasks: Tasks,
        notify: Notify = ignore_event,
        estimates: JobEstimates | None = None,
    ) -> None:
        """`estimates` are those of the worker. Without them, all jobs count as equally long."""
        shared, self.kills = SharedCatalogs(), KillBudget()
        self.engines = tuple(Engine(config, settings, limits, tasks, notify, self.kills) for config in configs)
        for engine in self.engines:
            engine.client.catalogs.parse = shared
        names = [engine.name for engine in self.engines]
        self.estimates = estimates or JobEstimates(Estimator({}), names, notify)
        is_single = len(self.engines) == 1
        self.catalogs = self.first.client.catalogs if is_single else CommonCatalogCache(self.engines)
        managed = any(engine.managed for engine in self.engines)
        lost_s = max(settings.lost_s, settings.start_s if managed else 0.0)
        self._tasks = tasks
        places = 1 + limits.queue_ahead
        self._queue = JobQueue(self.engines, PlacementEstimates(self.estimates), places, lost_s)
        self._stack = AsyncExitStack()
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opening:
            opening.push_async_callback(self._stack.aclose)
            for engine in self.engines:
                engine.changed = self._change_handler(engine)
                engine.has_alternative = self._is_another_left(engine)
                engine.another_is_free = self._is_another_free(engine)
                await self._stack.enter_async_context(engine)
            opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def configs(self) -> list[EngineConfig]:
        """The configurations of all engines."""
        return [engine.config for engine in self.engines]

    @property
    def first(self) -> Engine:
        """The first engine."""
        return self.engines[0]

    @property
    def alive(self) -> list[Engine]:
        """Engines that are connected, or if none is, those that were not given up, or else all."""
        connected = [engine for engine in self.engines if engine.connected]
        usable = [engine for engine in self.engines if engine.final_error is None]
        return connected or usable or list(self.engines)

    @property
    def connected(self) -> bool:
        """Whether an engine is connected."""
        return any(engine.connected for engine in self.engines)

    @property
    def block_reason(self) -> str | None:
        """Why no engine runs jobs: each connected engine is blocked by a node of a job that has ended.

        This is the message of the first of them, or None while an engine is not blocked.
        """
        reasons = [engine.leftovers.block_reason for engine in self.engines if engine.connected]
        return reasons[0] if reasons and all(reasons) else None

    async def wait_until_free_of(self, job: JobRef) -> None:
        """Wait until no engine runs a node of this job, which has ended."""
        for engine in self.engines:
            await engine.leftovers.wait_until_gone(job)

    @property
    def recently_connected(self) -> bool:
        """Whether an engine is connected, or was within the last minute.

        A restart then takes less time than sending a job to another machine.
        """
        return any(engine.client.recently_connected for engine in self.engines if engine.final_error is None)

    @property
    def restart_needed(self) -> str | None:
        """Reason why the operator has to restart a ComfyUI, or None while that is not needed."""
        return next((engine.restart_needed for engine in self.engines if engine.restart_needed), None)

    @property
    def failed_packs(self) -> tuple[FailedPack, ...] | None:
        """Node packs that an engine could not import, each once, or None if this worker starts no engine."""
        supervisors = [engine.supervisor for engine in self.engines if engine.supervisor is not None]
        if not supervisors:
            return None
        packs_by_name: dict[str, FailedPack] = {}
        for supervisor in supervisors:
            packs_by_name.update((pack.name, pack) for pack in supervisor.failed_packs)
        return tuple(packs_by_name.values())

    @property
    def known_catalog(self) -> Catalog | None:
        """The common catalog that was read last, or before that the one of WORKER_CATALOG, or None without either."""
        return self.catalogs.known

    async def catalog(self) -> Catalog:
        """Return the catalog of the classes and choices that every engine has. Raises EngineUnavailable."""
        return await self.catalogs.get()

    async def saved_models(self) -> SavedModels:
        """Return the model files that jobs wrote into the output folders of all engines."""
        saved = NO_SAVED_MODELS
        for engine in self.engines:
            saved = saved.merged_with(await engine.client.catalogs.saved_models.scan())
        return saved

    async def info(self, name: str | None = None) -> EngineInfo:
        """Return version and device of the engine with this name, or else of the first one that is alive.

        Raises EngineUnavailable.
        """
        engine = self.named(name) if name is not None else None
        return await (engine or self.alive[0]).client.info()

    def named(self, name: str | None) -> Engine | None:
        """Return the engine with this name, or None if there is none.

        The name None means the first engine. It is stored for the jobs of releases that had a single engine.
        """
        return next((engine for engine in self.engines if name in {None, engine.name}), None)

    def job_count(self, engine: Engine) -> int:
        """Return the number of jobs that have a place in an engine."""
        return self._queue.count(engine)

    def position(self, job: Job) -> int:
        """Return the number of jobs that run before a job."""
        return self._queue.position(job)

    def place(self, job: Job, only: Engine | None = None) -> AbstractAsyncContextManager[Engine]:
        """Wait for a place in the engine that is expected to finish the job first, or in `only`, and hold it.

        Raises EngineUnavailable when no engine has been connected for as long as jobs wait.
        """
        return self._queue.place(job, only)

    async def wait_until_connected(self, timeout_s: float) -> None:
        """Wait until an engine is connected. Raises TimeoutError after `timeout_s` seconds."""
        async with asyncio.timeout(timeout_s):
            while not self.connected:
                await self._wait_for_change()

    async def wait_until_settled(self) -> None:
        """Wait until every engine is connected or given up, but at most SETTLE_S seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                while not all(engine.connected or engine.final_error for engine in self.engines):
                    await self._wait_for_change()

    async def _read_device(self, engine: Engine) -> None:
        """Set the GPU class of an engine that was connected."""
        with suppress(EngineUnavailable):  # then ComfyUI has just ended, and will be connected again
            info = await engine.client.info()
            self.estimates.set_gpu(engine.name, gpu_class(info.device))
            if info.gpu_bytes and info.machine_bytes and not info.embedded:
                self.estimates.set_memory(engine.name, info.gpu_bytes, info.machine_bytes)

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()

    def _change_handler(self, engine: Engine) -> Callable[[], None]:
        """Return the callback for changes of an engine's state."""

        def handle_change() -> None:
            if engine.connected:
                self._tasks.spawn(f"device-{engine.name}", self._read_device(engine))
            else:
                self._queue.forget_models(engine)
            self.estimates.alive = [alive_engine.name for alive_engine in self.alive]
            self._queue.assign_engines()
            self._changed.set()

        return handle_change

    def _is_another_left(self, engine: Engine) -> Callable[[], bool]:
        """Return a function that returns whether another engine was not given up."""
        return lambda: any(other.final_error is None for other in self.engines if other is not engine)

    def _is_another_free(self, engine: Engine) -> Callable[[], bool]:
        """Return a function that returns whether another engine is free."""
        return lambda: any(other.free for other in self.engines if other is not engine)
