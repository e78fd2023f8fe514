"""The assembly of a worker: the only place where its concrete parts are connected."""

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
from worker.api.comfy.clients import ComfyClients
from worker.api.server import listen
from worker.api.services import Services
from worker.bodies import BodyLimits, remove_leftovers
from worker.engine.config import engine_configs, visible_gpus_of
from worker.engine.crashes.history import CrashHistory
from worker.engine.pool import EnginePool
from worker.engine.process.required_packs import missing_class_messages, needed_classes
from worker.engine.recovery import Recovery
from worker.errors import EngineUnavailable, StartupError
from worker.events import Observer, Observers, TaskFailed
from worker.fetch.fetcher import Fetcher
from worker.gpus.machine_monitor import MachineMonitor
from worker.gpus.monitor import GpuMonitor
from worker.gpus.nvml import Nvml
from worker.handlers.pool import HandlerPool
from worker.inputs import InputEngine, Inputs, InputStore, PlacedInputs
from worker.intake import SPOOL, Intake, JobResponses
from worker.intake.handler_calls import HandlerCalls
from worker.job import Job
from worker.jobs.cancellation import Cancellation, cancel
from worker.jobs.job_index import JobIndex
from worker.jobs.journal import Journal
from worker.jobs.load_storage import LoadStorage
from worker.jobs.manager import JobManager
from worker.jobs.prompt_work import PromptWork
from worker.jobs.state_folder import repair_state
from worker.jobs.state_lock import state_lock
from worker.load.call_units import CallUnits
from worker.load.job_estimates import JobEstimates
from worker.load.learning.estimator import Estimator
from worker.models.damaged import DamageCheck
from worker.models.fetcher import ModelFetcher
from worker.models.folder import worker_models
from worker.models.service import Models, TemplateModels
from worker.models.sizes import ModelSizes
from worker.observers.arrivals_log import ArrivalsLog
from worker.observers.call_progress import CallProgress
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
from worker.supervision import OnFailure, Tasks
from worker.workflow.templates.library import read_library, shipped_names

log = logging.getLogger(__name__)

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class App:
    """A running worker, as a platform uses it."""

    settings: Settings
    url: str
    manager: JobManager
    engines: EnginePool
    models: Models
    intake: Intake
    services: Services
    """For a platform that receives requests in this process."""
    timing: StartupTiming
    observers: Observers
    traits: Traits
    tasks: Tasks
    """A platform's long-lived tasks run among these, too."""

    def admit(self, workload: float) -> None:
        """Raise an error when this worker accepts no job at present. Otherwise, do nothing.

        Raises what `JobManager.admit` raises, ModelsDownloading and EngineUnavailable. Jobs are accepted while ComfyUI
        restarts, because a worker that rejected them at once would look idle to a router.
        """
        self.manager.admit()
        self.models.check_ready()
        if not self.engines.recently_connected:
            raise EngineUnavailable("ComfyUI is not connected")

    async def cancel(self, job: Job) -> Cancellation:
        """Cancel a job, wait until ComfyUI has stopped it, and return the outcome.

        The wait is limited by the setting `node_stop_s`.
        """
        return await cancel(self.manager, self.engines, job, self.settings.engine.node_stop_s)

    async def drain(self) -> None:
        """Accept no more jobs, and wait for running ones, for WORKER_DRAIN seconds or the platform's shorter limit."""
        drain_s = self.traits.drain_within(self.settings.limits.drain_s)
        log.info("draining for at most %g s", drain_s)
        await self.manager.close(drain_s)

    @asynccontextmanager
    async def draining(self) -> AsyncIterator[None]:
        """Drain when the body of the context is cancelled.

        Do not drain if it was cancelled because a task without which the worker cannot work has failed.
        """
        try:
            yield
        except asyncio.CancelledError:
            if self.tasks.failure is None:
                await self.drain()
            raise

    async def ready(self) -> None:
        """Wait until an engine is connected, the templates' models are stored, and the handlers are loaded.

        Raises StartupError when ComfyUI does not respond in time, or a model or the handlers cannot be loaded.
        """
        try:
            await self.engines.wait_until_connected(self.settings.engine.start_s)
            await self.engines.info()
        except (TimeoutError, EngineUnavailable) as error:
            raise StartupError(f"ComfyUI did not respond within {self.settings.engine.start_s:g} s") from error
        await self._log_missing_classes()
        self.timing.mark("engine")
        await self.models.wait_until_ready()
        self.timing.mark("models")
        if self.services.handlers is not None:
            await self.services.handlers.pool.wait_until_loaded()

    async def exclude_from_gc(self) -> None:
        """Exclude everything that the start has loaded from garbage collection, above all the catalog.

        A full collection of it blocks the event loop for some 100 ms and frees nothing, so only young objects are
        collected here. Call it once the worker is ready, in a process that runs nothing else.
        """
        with suppress(EngineUnavailable):
            await self.engines.catalog()  # loads the catalog if no request has needed it yet
        gc.collect(generation=1)
        gc.freeze()

    async def _log_missing_classes(self) -> None:
        """Log the required classes that ComfyUI does not have. The image build cannot check those that need a GPU."""
        if needed := needed_classes(Path(self.settings.engine.comfyui)):
            with suppress(EngineUnavailable):
                for message in missing_class_messages(needed, await self.engines.catalog()):
                    log.error("%s", message)


@asynccontextmanager
async def build(
    settings: Settings,
    observers: Sequence[Observer] = (),
    storage: Storage | None = None,
    tasks: Tasks | None = None,
    traits: Traits = DIRECT_TRAITS,
) -> AsyncIterator[App]:
    """Run a whole worker while the context lasts. It accepts connections at once, before its engines have started.

    Leaving the context cancels running jobs. `storage` stores the outputs that are returned by URL. Without it, the
    settings decide. `traits` are the platform's. Raises StateInUse when another worker uses the state folder, and
    StartupError when the start fails. When a task without which the worker cannot work fails later, the body of the
    context is cancelled, and the context raises StartupError.
    """
    fan_out = Observers([JobLog(), *observers])
    supervised = tasks or Tasks(lambda task: fan_out.notify(TaskFailed(task)))
    with state_lock(settings.state):
        damage = repair_state(settings.state)
        async with supervised, AsyncExitStack() as stack:
            await remove_leftovers(settings.state / SPOOL)
            yield await _assemble(settings, BuildOptions(fan_out, storage, traits, damage), supervised, stack)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of `build`."""

    observers: Observers
    storage: Storage | None
    traits: Traits
    state_damage: Sequence[str]
    """Names of the entries of the state folder that were moved aside."""


async def _assemble(settings: Settings, options: BuildOptions, tasks: Tasks, stack: AsyncExitStack) -> App:
    """Open all parts of a worker in the order of their dependencies. `stack` closes them in reverse."""
    timing, traits, observers = StartupTiming.begin(), options.traits, options.observers
    jobs, replay, limits, calls = JobIndex(), Replay(), settings.limits, CallUnits()
    access, library = Auth.from_settings(settings.server, traits), read_library(settings.templates)
    metrics, notify, enter = Metrics(library), observers.notify, stack.enter_async_context
    observers.add(replay, metrics, RunMetrics(metrics), metrics.engine_uses)
    tasks.start("event-loop-lag", partial(metrics.measure_loop_delay, notify))
    folder, engines = worker_models(settings), await _engines(settings, observers, tasks, stack)
    machine = await _machine(settings, traits, engines, calls, tasks, stack)
    fetcher = ModelFetcher(settings.fetch, folder) if folder else None
    comfy = await ComfyClients.of(settings, jobs, engines, tasks)
    templates, work = TemplateModels.of(settings.models, library), PromptWork(engines, ModelSizes(folder))
    models = await enter(Models(templates, fetcher, jobs, engines.catalogs.invalidate, tasks, notify))
    pipeline = await _pipeline(settings, options, work, jobs, tasks, stack)
    pipeline = replace(pipeline, explain_failure=DamageCheck(models, folder).explain)
    outputs, delivery, store = pipeline.outputs, pipeline.delivery, pipeline.inputs.store
    manager = JobManager(pipeline, jobs, limits, settings.outputs, settings.state, tasks)
    responses = JobResponses(traits, outputs, engines, delivery, settings.usd_hour, pipeline.handlers)
    preflight = Preflight(engines, models, work, limits.sync_limit_s or traits.sync_limit_s)
    spool, body_limits = settings.state / SPOOL, BodyLimits(settings.server.max_body * MIB)
    intake = Intake(spool, body_limits, traits, manager, engines, delivery, library, preflight, store, responses)
    parts = Services(
        *(settings, traits, manager, engines, outputs, replay, access, delivery),
        *(library, intake, preflight, models, timing, observers, metrics),
        *(machine, comfy),
        permanent_failure=lambda: tasks.problem or engines.restart_needed,
        state_damage=options.state_damage,
        handlers=HandlerCalls.of(pipeline.handlers, intake, calls, settings.handlers),
    )
    if models.fetches_models:
        observers.add(models)
    hooks = running_webhooks(settings.webhooks, settings.fetch, jobs, responses.webhook_body, tasks, notify)
    observers.add(machine, comfy.prompts, CallProgress(jobs, notify, calls), await enter(hooks))
    stack.push_async_callback(manager.close)
    await comfy.restore(manager)
    tasks.start("machine", partial(machine.end_worker_when_retired, manager.close), OnFailure.END)
    url = await enter(listen(parts, tasks))
    timing.mark("gateway")
    return App(settings, url, manager, engines, models, intake, parts, timing, observers, traits, tasks)


async def _engines(settings: Settings, observers: Observers, tasks: Tasks, stack: AsyncExitStack) -> EnginePool:
    """Start the engines, with the estimates of their jobs."""
    configs = await engine_configs(settings)
    names = [config.name for config in configs]
    estimates = JobEstimates(Estimator({}), names, observers.notify, settings.limits.job_timeout_s)
    observers.add(estimates)
    pool = EnginePool(configs, settings.engine, settings.limits, tasks, observers.notify, estimates)
    return await stack.enter_async_context(pool)


async def _machine(
    settings: Settings, traits: Traits, engines: EnginePool, calls: CallUnits, tasks: Tasks, stack: AsyncExitStack
) -> MachineMonitor:
    """Observe the GPUs and their speed, and keep what is learned about it."""
    gpus = stack.enter_context(GpuMonitor(Nvml(), visible_gpus_of(engines.configs)).running())
    learned = LoadStorage(engines, gpus, settings.state, settings.load_priors, calls)
    await stack.enter_async_context(learned.running(tasks))
    return MachineMonitor.of(settings, traits, engines.estimates, gpus)


async def _pipeline(
    settings: Settings, options: BuildOptions, work: PromptWork, jobs: JobIndex, tasks: Tasks, stack: AsyncExitStack
) -> Pipeline:
    """Open the parts that a job passes after the engines, and return them as a pipeline."""
    engines, state, observers, enter = work.engines, settings.state, options.observers, stack.enter_async_context
    configs = [engine.config for engine in engines.engines]
    sources = {
        engine.name: OutputSource(engine.api, engine.config.output, engine.config.temp, engine.managed)
        for engine in engines.engines
    }
    if settings.arrivals_log:
        arrivals = ArrivalsLog(state, jobs, engines.estimates, shipped_names())
        observers.add(arrivals)
        await enter(arrivals.running(tasks))
    outputs = Outputs(sources, state / "outputs")
    tasks.start("output-folders", outputs.sweep_periodically)
    for engine in engines.engines:
        engine.needs_isolation = partial(outputs.may_write_unreported, engine.name)
    earlier = EarlierOutputs(jobs, outputs, configs).find if len(configs) > 1 else None
    journal = await asyncio.to_thread(stack.enter_context, Journal(state / "journal.sqlite"))
    tasks.start("journal", journal.retry_writes)
    placed = await PlacedInputs.of(engines.engines, state)
    output = configs[0].output if len(configs) == 1 else None
    input_engine = InputEngine(engines.first.api, engines.catalog, placed, output)
    fetcher = await enter(Fetcher(settings.fetch, state / "fetched", notify=observers.notify))
    return Pipeline(
        engines=engines,
        recovery=Recovery(engines, CrashHistory(state / "suspects.json", settings.engine.crash_memory_s)),
        work=work,
        inputs=Inputs(input_engine, fetcher, InputStore(state / "inputs"), settings.inputs, earlier),
        outputs=outputs,
        delivery=await enter(delivery(settings, outputs, options.storage, options.traits)),
        journal=journal,
        observers=observers,
        handlers=HandlerPool.of(settings.handlers),
        api_key=settings.engine.api_key,
        previews=settings.engine.previews,
    )
