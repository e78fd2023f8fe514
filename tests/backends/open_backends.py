"""The backends under test, each in front of real processes on this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
from pydantic import SecretStr

from tests.backends.relay import CuttingRelay
from tests.conftest import worker
from tests.engines import EngineHandle, start_engine
from tests.handlers.apps import write_app
from tests.platforms.conftest import loaded, processes
from tests.platforms.runpod.workers import settings_for
from tests.simulators.modal.workspace import workspace
from worker.backends.base import Backend, JobReference
from worker.backends.local.open import LocalBackend
from worker.backends.registry import open_backend
from worker.backends.settings import BackendSettings
from worker.engine.process.free_port import free_port
from worker.platforms.registry import AUTO, choose
from worker.simulators import runpod as runpod_stand_in
from worker.simulators import vast_router
from worker.simulators.runpod import RunpodAssumptions
from worker.simulators.vast_router.tls_proxy import run_tls_proxy
from worker.supervision import stop

TOKEN = "a-token-of-the-operator"
Count = Callable[[], Awaitable[int]]
Restart = Callable[[JobReference], Awaitable[None]]


@dataclass(frozen=True)
class OpenBackend:
    """A backend, and what tests do with the processes behind it.

    - `settings` are those with which it was opened, for a second instance.
    - `restart` kills the worker that has a job, and starts it again. None where the platform would replace it.
    - `relay` can lose the answer to a submission, and `started` counts the runs that were started. None where the
      protocol has no answers that a relay can tell apart, or where the code is that of another backend.
    - `elsewhere` are settings with another target: no worker, or an unknown endpoint.
    """

    backend: Backend
    settings: BackendSettings
    elsewhere: BackendSettings | None = None
    restart: Restart | None = None
    relay: CuttingRelay | None = None
    started: Count | None = None


def prompts_of(engine: EngineHandle) -> Count:
    """Return a function that counts the prompts that an engine has got."""

    async def count() -> int:
        async with aiohttp.ClientSession() as http:
            async with http.get(f"{engine.url}/history?max_items=100000") as history:
                ended = len(await history.json())
            async with http.get(f"{engine.url}/queue") as queue:
                return ended + sum(map(len, (await queue.json()).values()))

    return count


@asynccontextmanager
async def http(folder: Path) -> AsyncIterator[OpenBackend]:
    """A worker with a token of its operator, behind a relay. A restart keeps its port and its state folder."""
    port = free_port()
    options = {
        "tokens": SecretStr(f"proxy={TOKEN}"),
        "handlers": write_app(folder / "app"),
        "handlers_port": 0,
        "port": port,
    }
    relay = CuttingRelay(port)
    with start_engine(folder / "engine") as engine:
        async with AsyncExitStack() as running, relay.listening():

            async def restart(_: JobReference | None = None) -> None:
                await running.aclose()
                await running.enter_async_context(worker(engine, folder / "state", drain_s=0.0, **options))

            await restart()
            settings = BackendSettings("http", f"{relay.url}/", SecretStr(TOKEN), usd_hour=0.4)
            async with open_backend(settings) as backend:
                elsewhere = replace(settings, url=engine.url)
                yield OpenBackend(backend, settings, elsewhere, restart, relay, prompts_of(engine))


@asynccontextmanager
async def local(folder: Path) -> AsyncIterator[OpenBackend]:
    """A child process with an embedded engine, which gets the settings of this process's environment."""
    variables = {"WORKER_HANDLERS": str(write_app(folder / "app")), "WORKER_HANDLERS_PORT": "0"}
    os.environ |= variables
    try:
        settings = BackendSettings("local", "local:", state=folder)
        async with open_backend(settings) as backend:
            assert isinstance(backend, LocalBackend)

            async def restart(_: JobReference) -> None:
                assert backend.child.pid is not None
                os.kill(backend.child.pid, 9)

            yield OpenBackend(backend, settings, restart=restart)
    finally:
        for name in variables:
            del os.environ[name]


@asynccontextmanager
async def vast(folder: Path) -> AsyncIterator[OpenBackend]:
    """An endpoint with one worker behind a local router. Clients reach it with TLS, and a relay is behind the TLS."""
    async with AsyncExitStack() as stack:
        local_vast = await stack.enter_async_context(vast_router.serve(tls=True))
        spawn = await stack.enter_async_context(processes(folder))
        engine = stack.enter_context(start_engine(folder / "engine"))
        env = await local_vast.worker_env(1)
        relay = CuttingRelay(int(env["WORKER_PORT"]))
        await stack.enter_async_context(relay.listening())
        authority = local_vast._authority.server_context()
        public = await stack.enter_async_context(run_tls_proxy(relay.port, authority))
        env |= {
            f"VAST_TCP_PORT_{env['WORKER_PORT']}": str(public),
            "WORKER_COMFYUI": engine.url,
            "WORKER_COMFYUI_OUTPUT": str(engine.output),
            "WORKER_COMFYUI_INPUT": str(engine.input),
            "WORKER_STATE": str(folder / "state"),
            "WORKER_VAST_HOST": "127.0.0.1",
            "WORKER_BENCHMARK_RUNS": "1",
            "WORKER_HANDLERS": str(write_app(folder / "app")),
            "WORKER_HANDLERS_PORT": "0",
        }
        running = [await spawn("comfy_worker.py", env)]
        await local_vast.record.until(loaded(1), 60)

        async def restart(_: JobReference) -> None:
            running[-1].kill()
            await running[-1].wait()
            running.append(await spawn("comfy_worker.py", env))

        key = SecretStr(local_vast.api_key)
        settings = BackendSettings("vast", "vast://comfy", key, api_url=local_vast.url, gpu="RTX 4090")
        backend = await stack.enter_async_context(open_backend(settings))
        elsewhere = replace(settings, url="vast://nope")
        yield OpenBackend(backend, settings, elsewhere, restart, relay, prompts_of(engine))


@asynccontextmanager
async def runpod(folder: Path) -> AsyncIterator[OpenBackend]:
    """A queue-based endpoint with one worker in this process. Clients reach the API through a relay."""
    async with AsyncExitStack() as stack:
        assumptions = RunpodAssumptions(take_hold_s=1)
        stand_in = await stack.enter_async_context(runpod_stand_in.serve(assumptions=assumptions))
        engine = stack.enter_context(start_engine(folder / "engine"))
        variables = stand_in.worker_environ("worker-1")
        app = write_app(folder / "app")
        settings_of_worker = settings_for(engine, folder / "state", handlers=app, handlers_port=0)
        serving = asyncio.create_task(choose(AUTO, variables).platform.serve(settings_of_worker, variables))
        stack.push_async_callback(stop, serving)
        relay = CuttingRelay(int(stand_in.url.rpartition(":")[2]))
        await stack.enter_async_context(relay.listening())

        async def started() -> int:
            return len(stand_in.state.jobs.jobs)

        key = SecretStr(stand_in.api_key)
        settings = BackendSettings("runpod", "runpod://comfy", key, api_url=f"{relay.url}/v2/", gpu="RTX 4090")
        backend = await stack.enter_async_context(open_backend(settings))
        elsewhere = replace(settings, url="runpod://nope")
        yield OpenBackend(backend, settings, elsewhere, relay=relay, started=started)


@asynccontextmanager
async def modal(folder: Path) -> AsyncIterator[OpenBackend]:
    """The shipped app on a local stand-in, with a real container that starts a worker."""
    variables = {"WORKER_HANDLERS": str(write_app(folder / "app")), "WORKER_HANDLERS_PORT": "0"}
    async with workspace(folder, **variables) as space:
        settings = BackendSettings("modal", "modal://comfy-worker/ComfyUI", api_url=space.modal.url, gpu="L40S")
        async with open_backend(settings) as backend:
            yield OpenBackend(backend, settings, replace(settings, url="modal://comfy-worker/Nope"))


BACKENDS: dict[str, Callable[[Path], AbstractAsyncContextManager[OpenBackend]]] = {
    "http": http,
    "local": local,
    "vast": vast,
    "runpod": runpod,
    "modal": modal,
}
"""Functions that open a backend, by its kind. Each gets an empty folder."""
