"""The only place where concrete parts meet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from worker.api.auth import Auth
from worker.api.responses import final_body, webhook_body
from worker.api.server import listen
from worker.api.services import Services
from worker.api.submission import submit
from worker.dialects import detect
from worker.engine.client import ComfyClient
from worker.engine.crash_history import CrashHistory
from worker.engine.process.launch import engine
from worker.engine.process.required_packs import lacking, needed_classes
from worker.engine.recovery import Recovery
from worker.engine.watchdog import Watchdog
from worker.errors import EngineUnavailable, StartupError, WorkerError
from worker.events import Observer, Observers, TaskFailed
from worker.fetch.fetcher import Fetcher
from worker.inputs import Inputs
from worker.job import Job
from worker.jobs.job_index import JobIndex
from worker.jobs.journal import Journal
from worker.jobs.manager import JobManager
from worker.load.workload import FLOOR, workload
from worker.models.service import Models
from worker.observers.log import JobLog
from worker.observers.replay import Replay
from worker.observers.webhook import webhooks
from worker.outputs.delivery import delivery
from worker.outputs.files import Outputs
from worker.pipeline import Pipeline
from worker.platforms.base import REACHED_DIRECTLY, Traits
from worker.preflight import Preflight
from worker.settings import Settings
from worker.startup_timing import StartupTiming
from worker.storage.base import Storage
from worker.supervision import Tasks
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.editor import convert, is_ui
from worker.workflow.templates.library import read_library
from worker.workflow.templates.template import Library

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class App:
    """A running worker: what a platform needs to put in front of it."""

    settings: Settings
    url: str
    manager: JobManager
    engine: ComfyClient
    models: Models
    library: Library
    timing: StartupTiming
    observers: Observers
    traits: Traits
    services: Services
    tasks: Tasks
    """Long-lived tasks of a platform run among these, too."""

    def admit(self, workload: float) -> None:
        """Raises what `Registry.admit` does, ModelsComing and EngineUnavailable where a job would not be accepted now.

        While ComfyUI is started again jobs are taken: a worker that turned them away at once would look the least
        loaded of all to a router.
        """
        self.manager.admit()
        self.models.check_ready()
        if not self.engine.back_soon:
            raise EngineUnavailable("ComfyUI is not connected")

    def workload_of(self, body: Mapping[str, object]) -> float:
        """Units of a request body in any dialect; what can't be read counts as the least."""
        try:
            prompt = detect(body).read(body, self.library).prompt
            if is_ui(prompt):
                prompt = dict(convert(prompt, self.engine.known_catalog or bundled_catalog()).prompt)
            return workload(prompt, self.engine.known_catalog)
        except WorkerError:
            return FLOOR

    async def submit(self, body: Mapping[str, Any], principal: str, repeat_key: str | None = None) -> Job:
        """Start the job that a request body of any dialect asks for. Raises WorkerError where it is refused.

        A platform that delivers a job a second time gives both the same `repeat_key`, and the job runs once. The
        platform keeps the job until it is answered: this worker does not run it again after a restart.
        """
        return await submit(self.services, body, principal, repeat_key)

    async def answer(self, job: Job) -> tuple[int, dict[str, Any]]:
        """HTTP status and body of a job that has ended, at most `traits.largest_answer` bytes of JSON."""
        return await final_body(self.services, job, job.request.base_url)

    async def drain(self) -> None:
        """Accept no more jobs and give the running ones their time: WORKER_DRAIN, or less where the platform kills."""
        drain_s, most_s = self.settings.drain_s, self.traits.drain_s
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
        """Wait until the engine answers and the templates' models are here. Raises StartupError."""
        try:
            await self.engine.socket.opened(self.settings.engine_start_s)
            await self.engine.info()
        except (TimeoutError, EngineUnavailable) as error:
            raise StartupError(f"ComfyUI did not answer within {self.settings.engine_start_s:g} s") from error
        await self._look_at_packs()
        self.timing.mark("engine")
        await self.models.ready()
        self.timing.mark("models")

    async def _look_at_packs(self) -> None:
        """What needs a GPU to be imported could not be proven when the image was built."""
        if needed := needed_classes(Path(self.settings.comfyui)):
            with suppress(EngineUnavailable):
                for sentence in lacking(needed, await self.engine.catalog()):
                    log.error("%s", sentence)


@asynccontextmanager
async def build(
    settings: Settings,
    observers: Sequence[Observer] = (),
    storage: Storage | None = None,
    tasks: Tasks | None = None,
    traits: Traits = REACHED_DIRECTLY,
) -> AsyncIterator[App]:
    """The whole worker, listening; the engine may still be starting. Ending the context cancels what runs.

    `storage` is where outputs go that are asked for by URL; without one, this worker itself. `traits` are those of the
    platform. Raises StartupError, also while it runs: where a task fails without which the worker is of no use, the
    body is cancelled (`tasks.failure`).
    """
    fan_out = Observers([JobLog(), *observers])
    supervised = tasks or Tasks(lambda task: fan_out.notify(TaskFailed(task)))
    async with supervised, AsyncExitStack() as stack:
        yield await _assembled(settings, BuildOptions(fan_out, storage, traits), supervised, stack)


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """Options of `build`."""

    observers: Observers
    storage: Storage | None
    traits: Traits


async def _assembled(settings: Settings, options: BuildOptions, tasks: Tasks, stack: AsyncExitStack) -> App:
    """Open every part in its order; `stack` closes them."""
    timing, traits, observers = StartupTiming.of_this_start(), options.traits, options.observers
    access, library, notify = Auth.from_settings(settings, traits), read_library(settings.templates), observers.notify
    comfy = await stack.enter_async_context(engine(settings, tasks, notify))
    client = ComfyClient(comfy.url, settings, tasks, kept=comfy.supervisor is not None, notify=notify)
    await stack.enter_async_context(client)
    jobs, replay = JobIndex(), Replay()
    models = await stack.enter_async_context(Models(settings, library, jobs, client.catalogs.forget, tasks, notify))
    observers.add(replay, models)
    outputs = Outputs(client.api, settings.state / "outputs", comfy.output_folder)
    fetcher = await stack.enter_async_context(Fetcher(settings, settings.state / "fetched", notify=notify))
    places = await stack.enter_async_context(delivery(settings, outputs, options.storage, traits))
    watch = Watchdog(client.api, client.socket, comfy.supervisor, settings)
    await stack.enter_async_context(watch.watching(tasks))
    crash_history = CrashHistory(settings.state / "suspects.json", settings.crash_memory_s)
    pipeline = Pipeline(
        engine=Recovery(client, comfy.supervisor, crash_history),
        inputs=Inputs(client.api, client.catalog, fetcher, settings, comfy.input_folder),
        outputs=outputs,
        delivery=places,
        journal=stack.enter_context(Journal(settings.state / "journal.sqlite")),
        observers=observers,
        places=asyncio.Semaphore(1 + settings.queue_ahead),
    )
    manager = JobManager(pipeline, jobs, settings, tasks)
    parts = Services(
        *(settings, traits, manager, client, outputs, replay, access, places),
        *(library, Preflight(client, models), models, timing, observers),
        trouble=lambda: tasks.trouble or watch.hopeless,
    )
    hooks = webhooks(settings, jobs, partial(webhook_body, parts), tasks, notify)
    observers.add(await stack.enter_async_context(hooks))
    stack.push_async_callback(manager.close)
    manager.restore()
    url = await stack.enter_async_context(listen(parts))
    timing.mark("gateway")
    return App(settings, url, manager, client, models, library, timing, observers, traits, parts, tasks)


__all__ = ["App", "build"]
