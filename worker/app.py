"""The only place where concrete parts meet."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from worker.api.auth import Auth
from worker.api.server import listen
from worker.api.services import Services
from worker.bodies import BodyLimits, remove_leftovers
from worker.engine.config import engine_configs
from worker.engine.crashes.history import CrashHistory
from worker.engine.pool import EnginePool
from worker.engine.process.required_packs import missing_class_messages, needed_classes
from worker.engine.recovery import Recovery
from worker.errors import EngineUnavailable, StartupError
from worker.events import Observer, Observers, TaskFailed
from worker.fetch.fetcher import Fetcher
from worker.inputs import InputEngine, Inputs, InputStore, PlacedInputs
from worker.intake import SPOOL, Intake, JobResponses
from worker.job import Job
from worker.jobs.cancellation import Cancellation, cancel
from worker.jobs.job_index import JobIndex
from worker.jobs.journal import Journal
from worker.jobs.manager import JobManager
from worker.jobs.state_folder import repair_state
from worker.jobs.state_lock import state_lock
from worker.models.damaged import DamageCheck
from worker.models.fetcher import ModelFetcher
from worker.models.folder import worker_models
from worker.models.service import Models, TemplateModels
from worker.models.sizes import ModelSizes
from worker.observers.log import JobLog
from worker.observers.metrics import Metrics
from worker.observers.replay import Replay
from worker.observers.run_times import RunMetrics
from worker.observers.webhook import running_webhooks
from worker.outputs.delivery import delivery
from worker.outputs.earlier import EarlierOutputs
from worker.outputs.files import Outputs, OutputSource
from worker.pipeline import Pipeline
from worker.platforms.base import DIRECT_TRAITS, Traits
from worker.preflight import Preflight
from worker.settings import Settings
from worker.startup_timing import StartupTiming
from worker.storage.base import Storage
from worker.supervision import Tasks
from worker.workflow.templates.library import read_library

log = logging.getLogger(__name__)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class App:
    """A running worker: what a platform needs to put in front of it."""

    settings: Settings
    url: str
    manager: JobManager
    engines: EnginePool
    models: Models
    intake: Intake
    services: Services
    """For a platform that receives requests in this process itself."""
    timing: StartupTiming
    observers: Observers
    traits: Traits
    tasks: Tasks
    """Long-lived tasks of a platform run among these, too."""

    def admit(self, workload: float) -> None:
        """Raises what `Registry.admit` does, ModelsDownloading and EngineUnavailable where no job is accepted now.

        While ComfyUI is started again jobs are taken: a worker that turned them away at once would look the least
        loaded of all to a router.
        """
        self.manager.admit()
        self.models.check_ready()
        if not self.engines.recently_connected:
            raise EngineUnavailable("ComfyUI is not connected")

    async def cancel(self, job: Job) -> Cancellation:
        """Cancel a job and wait until ComfyUI is free of it, for a while."""
        return await cancel(self.manager, self.engines, job, self.settings.engine.node_stop_s)

    async def drain(self) -> None:
        """Accept no more jobs and give the running ones their time: WORKER_DRAIN, or less where the platform kills."""
        drain_s, most_s = self.settings.limits.drain_s, self.traits.drain_s
        drain_s = drain_s if most_s is None else min(drain_s, most_s)
        log.info("draining for at most %g s", drain_s)
        await self.manager.close(drain_s)

    @asynccontextmanager
    async def draining(self) -> AsyncIterator[None]:
        """Drain when the body is cancelled, unless a task has failed without which the worker is of no use."""
        try:
            yield
        except asyncio.CancelledError:
            if self.tasks.failure is None:
                await self.drain()
            raise

    async def ready(self) -> None:
        """Wait until one engine answers and the templates' models are here. Raises StartupError."""
        try:
            await self.engines.opened(self.settings.engine.start_s)
            await self.engines.info()
        except (TimeoutError, EngineUnavailable) as error:
            raise StartupError(f"ComfyUI did not answer within {self.settings.engine.start_s:g} s") from error
        await self._look_at_packs()
        self.timing.mark("engine")
        await self.models.wait_until_ready()
        self.timing.mark("models")

    async def settled(self) -> None:
        """Leave what the start has loaded, the catalog above all, out of garbage collections from here on.

        A full collection of it stops the event loop for some 100 ms and frees nothing. This applies to the whole
        process: call it once the worker is ready, in a process that runs nothing else.
        """
        with suppress(EngineUnavailable):
            await self.engines.catalog()
        gc.collect()
        gc.freeze()

    async def _look_at_packs(self) -> None:
        """What needs a GPU to be imported could not be proven when the image was built."""
        if needed := needed_classes(Path(self.settings.engine.comfyui)):
            with suppress(EngineUnavailable):
                for sentence in missing_class_messages(needed, await self.engines.catalog()):
                    log.error("%s", sentence)


@asynccontextmanager
async def build(
    settings: Settings,
    observers: Sequence[Observer] = (),
    storage: Storage | None = None,
    tasks: Tasks | None = None,
    traits: Traits = DIRECT_TRAITS,
) -> AsyncIterator[App]:
    """The whole worker, listening; the engine may still be starting. Ending the context cancels what runs.

    `storage` is where outputs go that are asked for by URL; without one, this worker itself. `traits` are those of the
    platform. Raises StartupError, also while it runs: where a task fails without which the worker is of no use, the
    body is cancelled (`tasks.failure`). Raises StateInUse where another worker has the state folder.
    """
    fan_out = Observers([JobLog(), *observers])
    supervised = tasks or Tasks(lambda task: fan_out.notify(TaskFailed(task)))
    with state_lock(settings.state):
        damage = repair_state(settings.state)
        async with supervised, AsyncExitStack() as stack:
            await remove_leftovers(settings.state / SPOOL)
            yield await _assembled(settings, BuildOptions(fan_out, storage, traits, damage), supervised, stack)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of `build`."""

    observers: Observers
    storage: Storage | None
    traits: Traits
    state_damage: Sequence[str]
    """Names of what was moved aside in the state folder."""


async def _assembled(settings: Settings, options: BuildOptions, tasks: Tasks, stack: AsyncExitStack) -> App:
    """Open every part in its order; `stack` closes them."""
    timing, traits, observers = StartupTiming.begin(), options.traits, options.observers
    jobs, replay, limits = JobIndex(), Replay(), settings.limits
    access, library = Auth.from_settings(settings.server, traits), read_library(settings.templates)
    metrics, notify, enter = Metrics(library), observers.notify, stack.enter_async_context
    observers.add(replay, metrics, RunMetrics(metrics))
    tasks.start("event-loop-lag", metrics.measure_loop_delay)
    folder, configs = worker_models(settings), await engine_configs(settings)
    engines = await enter(EnginePool(configs, settings.engine, limits, tasks, notify, ModelSizes(folder).of))
    fetcher = ModelFetcher(settings.fetch, folder) if folder else None
    templates = TemplateModels.of(settings.models, library)
    models = await enter(Models(templates, fetcher, jobs, engines.catalogs.invalidate, tasks, notify))
    pipeline = await _pipeline(settings, options, engines, jobs, tasks, stack)
    pipeline = replace(pipeline, explain_failure=DamageCheck(models, folder).explain)
    outputs, places, store = pipeline.outputs, pipeline.delivery, pipeline.inputs.store
    manager = JobManager(pipeline, jobs, limits, settings.outputs, settings.state, tasks)
    responses = JobResponses(traits, outputs, engines, places)
    preflight = Preflight(engines, models, limits.sync_limit_s or traits.sync_limit_s)
    spool, body_limits = settings.state / SPOOL, BodyLimits(settings.server.max_body * MIB)
    intake = Intake(spool, body_limits, traits, manager, engines, places, library, preflight, store, responses)
    parts = Services(
        *(settings, traits, manager, engines, outputs, replay, access, places),
        *(library, intake, preflight, models, timing, observers, metrics),
        permanent_failure=lambda: tasks.problem or engines.restart_needed,
        state_damage=options.state_damage,
    )
    if models.fetches_models:
        observers.add(models)
    hooks = await enter(running_webhooks(settings.webhooks, settings.fetch, jobs, responses.webhook, tasks, notify))
    observers.add(hooks)
    stack.push_async_callback(manager.close)
    await manager.restore()
    tasks.start("journal", pipeline.journal.retry_writes)
    url = await enter(listen(parts, tasks))
    timing.mark("gateway")
    return App(settings, url, manager, engines, models, intake, parts, timing, observers, traits, tasks)


async def _pipeline(
    settings: Settings, options: BuildOptions, engines: EnginePool, jobs: JobIndex, tasks: Tasks, stack: AsyncExitStack
) -> Pipeline:
    """Open the parts that a job passes after the engines."""
    state, observers, enter = settings.state, options.observers, stack.enter_async_context
    configs = [engine.config for engine in engines.engines]
    sources = {
        one.name: OutputSource(one.api, one.config.output, one.config.temp, one.managed) for one in engines.engines
    }
    outputs = Outputs(sources, state / "outputs")
    tasks.start("output-folders", outputs.sweep_periodically)
    for one in engines.engines:
        one.needs_isolation = partial(outputs.may_write_unreported, one.name)
    earlier = EarlierOutputs(jobs, outputs, configs).find if len(configs) > 1 else None
    journal = await asyncio.to_thread(stack.enter_context, Journal(state / "journal.sqlite"))
    placed = await _placed_inputs(engines, state)
    output = configs[0].output if len(configs) == 1 else None
    engine = InputEngine(engines.first.api, engines.catalog, placed, output)
    fetcher = await enter(Fetcher(settings.fetch, state / "fetched", notify=observers.notify))
    return Pipeline(
        engines=engines,
        recovery=Recovery(engines, CrashHistory(state / "suspects.json", settings.engine.crash_memory_s)),
        inputs=Inputs(engine, fetcher, InputStore(state / "inputs"), settings.inputs, earlier),
        outputs=outputs,
        delivery=await enter(delivery(settings, outputs, options.storage, options.traits)),
        journal=journal,
        observers=observers,
        api_key=settings.engine.api_key,
        previews=settings.engine.previews,
    )


async def _placed_inputs(engines: EnginePool, state: Path) -> PlacedInputs | None:
    """Return what puts files into the input folder that all engines share; None where it can't be reached."""
    shared = engines.first.config.input
    if shared is None:
        return None
    placed = PlacedInputs(shared, state / "staged")
    await asyncio.to_thread(placed.clear, state)
    for one in engines.engines:
        one.inputs = placed
    return placed


__all__ = ["App", "build"]
