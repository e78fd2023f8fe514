"""Builds an embedded engine and runs it, in this process or as the process."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count

from aiohttp import web

from worker.errors import CannotListen
from worker.simulators.comfyui.classes.embedded_classes import with_embedded_classes
from worker.simulators.comfyui.classes.registry import NodeRegistry
from worker.simulators.comfyui.engine import ENGINE, EmbeddedEngine
from worker.simulators.comfyui.execution.executor import Executor
from worker.simulators.comfyui.execution.history import History
from worker.simulators.comfyui.execution.node_call import Clock, EngineClock
from worker.simulators.comfyui.execution.prompt_worker import PromptWorker
from worker.simulators.comfyui.execution.queue import PromptQueue
from worker.simulators.comfyui.execution.timed_nodes import with_timings
from worker.simulators.comfyui.faults.fault_injector import FaultInjector, with_faults
from worker.simulators.comfyui.folders import ComfyFolders
from worker.simulators.comfyui.routes import all_routes
from worker.simulators.comfyui.routes.features import MAX_UPLOAD_BYTES
from worker.simulators.comfyui.server.hub import Hub
from worker.simulators.comfyui.server.logs import ServerLog
from worker.simulators.comfyui.server.middleware import add_server_header, request_middleware
from worker.simulators.comfyui.settings import EngineSettings
from worker.workflow.catalog.catalog import Catalog

SWITCH_INTERVAL_S = 0.0005
"""Python's thread switch interval in the engine's process, a tenth of the default.

It bounds how long the prompt thread keeps the interpreter while frames wait to be sent.
"""

END_OF_JOB_S = 2.0
"""Seconds that a closing engine waits for the node that runs. The thread is a daemon and ends with the process."""


@dataclass(frozen=True, slots=True)
class RunningSimulator:
    """The address of a running engine."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://{self.host}:{self.port}"


@asynccontextmanager
async def serve(settings: EngineSettings, clock: Clock | None = None) -> AsyncIterator[RunningSimulator]:
    """Run an engine in this process. On exit, connections are closed without close frames, as when ComfyUI dies.

    Raises CannotListen when the port is in use.
    """
    closing = threading.Event()
    engine = _build(settings, clock or EngineClock(settings.speed, closing))
    worker = PromptWorker(engine)
    runner = web.AppRunner(_app(engine), access_log=None, shutdown_timeout=0)
    await runner.setup()
    publishing = asyncio.create_task(engine.hub.publish())
    try:
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
        except (OSError, OverflowError) as error:
            raise CannotListen(settings.host, settings.port, error) from error
        worker.start()
        yield RunningSimulator(settings.host, _port(runner))
    finally:
        closing.set()
        engine.queue.close()
        await _abort_connections(runner)
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing
        await asyncio.to_thread(worker.join, END_OF_JOB_S)


def run(settings: EngineSettings) -> None:
    """Run an engine as this process until SIGTERM or SIGINT. SIGINT also removes the temp folder."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    asyncio.run(_run(settings))


async def _run(settings: EngineSettings) -> None:
    """Run an engine until SIGTERM or SIGINT, and print its address when it accepts requests."""
    stop_signal: asyncio.Future[signal.Signals] = asyncio.get_running_loop().create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _set_once, stop_signal, number)
    async with serve(settings) as engine:
        gc.freeze()  # the objects loaded so far are never freed, so collections can skip them
        print(f"embedded engine on {engine.url}", flush=True)  # noqa: T201 - starting processes wait for this line
        number = await stop_signal
    if number is signal.SIGINT:
        ComfyFolders(settings.base, settings.folders).remove_temp()


def _set_once(stop_signal: asyncio.Future[signal.Signals], number: signal.Signals) -> None:
    """Store the first signal as the result of `stop_signal`, and ignore later ones."""
    if not stop_signal.done():
        stop_signal.set_result(number)


def _build(settings: EngineSettings, clock: Clock) -> EmbeddedEngine:
    """Create the engine's parts."""
    catalog = with_embedded_classes(settings.catalog or Catalog.bundled()).with_files(settings.models)
    folders = ComfyFolders(settings.base, settings.folders)
    hub = Hub(asyncio.get_running_loop())
    logs = ServerLog(hub)
    queue = PromptQueue(lambda: hub.send("status", {"status": _queue_status(queue)}))
    fault_injector = FaultInjector(settings.faults, settings.base / "user" / "faults.json", hub)
    executor = Executor(
        catalog,
        lambda: with_faults(with_timings(_registry(), settings.timings), fault_injector),
        hub,
        logs,
        folders,
        clock,
    )
    executor.configure(settings.cache, settings.preview_method)
    return EmbeddedEngine(settings, catalog, hub, queue, History(), executor, folders, logs, fault_injector, count())


def _registry() -> NodeRegistry:
    """Import and return the node functions.

    They import Pillow, so the prompt thread loads them while the server already accepts requests.
    """
    from worker.simulators.comfyui.node_functions import registry

    return registry()


def _queue_status(queue: PromptQueue) -> dict[str, object]:
    """Return the content of a `status` frame."""
    return {"exec_info": {"queue_remaining": queue.remaining()}}


def _app(engine: EmbeddedEngine) -> web.Application:
    """Return the application that serves the engine."""
    app = web.Application(middlewares=[request_middleware], client_max_size=MAX_UPLOAD_BYTES)
    app[ENGINE] = engine
    app.add_routes(all_routes())
    app.on_response_prepare.append(add_server_header)
    return app


def _port(runner: web.AppRunner) -> int:
    """Return the port on which the server listens, which the system chose if the setting is 0."""
    return int(runner.addresses[0][1])


async def _abort_connections(runner: web.AppRunner) -> None:
    """Close all connections at once. WebSocket clients see close code 1006 and no close frame."""
    for site in list(runner.sites):
        await site.stop()
    if runner.server is not None:
        for connection in runner.server.connections:
            connection.force_close()
    await runner.cleanup()
