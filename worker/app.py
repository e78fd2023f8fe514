"""The only place where concrete parts meet."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from worker.comfyui.client import ComfyClient
from worker.comfyui.packs import lacking, needed_classes
from worker.comfyui.process import engine
from worker.comfyui.recovery import Recovery
from worker.comfyui.suspects import Suspects
from worker.comfyui.watch import Watch
from worker.delivery import delivery
from worker.errors import EngineUnavailable, StartupError, WorkerError
from worker.events import Observer, Observers
from worker.fetch.fetcher import Fetcher
from worker.gateway.access import Access
from worker.gateway.answers import webhook_body
from worker.gateway.dialects import detect
from worker.gateway.server import listen
from worker.gateway.services import Services
from worker.graph.catalog import bundled_catalog
from worker.graph.template import Library
from worker.graph.ui import convert, is_ui
from worker.graph.workload import FLOOR, workload
from worker.inputs import Inputs
from worker.journal import Journal
from worker.library import read_library
from worker.models.service import Models
from worker.observers.log import JobLog
from worker.observers.replay import Replay
from worker.observers.webhook import webhooks
from worker.outputs import Outputs
from worker.pipeline import Pipeline
from worker.registry import Registry
from worker.settings import Settings
from worker.stages import Stages
from worker.storage.base import Storage
from worker.supervision import Tasks
from worker.vetting import Vetting

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class App:
    """A running worker: what a platform needs to put in front of it."""

    settings: Settings
    url: str
    registry: Registry
    engine: ComfyClient
    models: Models
    library: Library
    stages: Stages
    tasks: Tasks
    """Long-lived tasks of a platform run among these, too."""

    def admit(self, workload: float) -> None:
        """Raises what `Registry.admit` does, ModelsComing and EngineUnavailable where a job would not be accepted now.

        While ComfyUI is started again jobs are taken: a worker that turned them away at once would look the least
        loaded of all to a router.
        """
        self.registry.admit()
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

    async def ready(self) -> None:
        """Wait until the engine answers and the templates' models are here. Raises StartupError."""
        try:
            await self.engine.link.opened(self.settings.engine_start_s)
            await self.engine.info()
        except (TimeoutError, EngineUnavailable) as error:
            raise StartupError(f"ComfyUI did not answer within {self.settings.engine_start_s:g} s") from error
        await self._look_at_packs()
        self.stages.mark("engine")
        await self.models.ready()
        self.stages.mark("models")

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
) -> AsyncIterator[App]:
    """The whole worker, listening; the engine may still be starting. Ending the context cancels what runs.

    `storage` is where outputs go that are asked for by URL; without one, this worker itself. Raises StartupError, also
    while it runs: where a task fails without which the worker is of no use, the body is cancelled (`tasks.failure`).
    """
    async with tasks or Tasks() as running, AsyncExitStack() as stack:
        yield await _assembled(settings, observers, storage, running, stack)


async def _assembled(
    settings: Settings, observers: Sequence[Observer], storage: Storage | None, tasks: Tasks, stack: AsyncExitStack
) -> App:
    """Open every part in its order; `stack` closes them."""
    stages = Stages.of_this_start()
    access, library = Access.from_settings(settings), read_library(settings.templates)
    running = await stack.enter_async_context(engine(settings, tasks))
    client = ComfyClient(running.url, settings, tasks, kept=running.keeper is not None)
    await stack.enter_async_context(client)
    models = await stack.enter_async_context(Models(settings, library, client.catalogs.forget, tasks))
    replay = Replay()
    journal = stack.enter_context(Journal(settings.state / "journal.sqlite"))
    # The journal first: a result is written down before anybody hears of it.
    fan_out = Observers([journal, JobLog(), replay, models, *observers])
    outputs = Outputs(client.api, settings.state / "outputs", running.output_folder)
    fetcher = await stack.enter_async_context(Fetcher(settings, settings.state / "fetched"))
    places = await stack.enter_async_context(delivery(settings, outputs, storage))
    watch = Watch(client.api, client.link, running.keeper, settings)
    await stack.enter_async_context(watch.watching(tasks))
    suspects = Suspects(settings.state / "suspects.json", settings.crash_memory_s)
    pipeline = Pipeline(
        engine=Recovery(client, running.keeper, suspects),
        inputs=Inputs(client.api, client.catalog, fetcher, settings, running.input_folder),
        outputs=outputs,
        delivery=places,
        observers=fan_out,
        places=asyncio.Semaphore(1 + settings.queue_ahead),
    )
    registry = Registry(pipeline, journal, settings, tasks)
    parts = Services(
        *(settings, registry, client, outputs, replay, access, places),
        *(library, Vetting(client, models), models, stages),
        trouble=lambda: tasks.trouble or watch.hopeless,
    )
    fan_out.add(await stack.enter_async_context(webhooks(settings, partial(webhook_body, parts), tasks)))
    stack.push_async_callback(registry.close)
    registry.restore()
    url = await stack.enter_async_context(listen(parts))
    stages.mark("gateway")
    return App(settings, url, registry, client, models, library, stages, tasks)


__all__ = ["App", "build"]
