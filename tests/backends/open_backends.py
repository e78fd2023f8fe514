"""The backends under test, each in front of real processes on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from tests.conftest import worker
from tests.engines import start_engine
from tests.platforms.conftest import loaded, processes, start_worker
from tests.platforms.runpod.workers import settings_for
from tests.simulators.modal.workspace import workspace
from worker.backends.base import Backend
from worker.backends.registry import open_backend
from worker.backends.settings import BackendSettings
from worker.platforms.registry import AUTO, choose
from worker.simulators import runpod as runpod_stand_in
from worker.simulators import vast_router
from worker.simulators.runpod import RunpodAssumptions
from worker.supervision import stop

TOKEN = "a-token-of-the-operator"


@asynccontextmanager
async def http(folder: Path) -> AsyncIterator[Backend]:
    """A worker with a token of its operator."""
    with start_engine(folder / "engine") as engine:
        async with worker(engine, folder / "state", tokens=SecretStr(f"proxy={TOKEN}")) as client:
            settings = BackendSettings("http", client.app.url, SecretStr(TOKEN), usd_hour=0.4)
            async with open_backend(settings) as backend:
                yield backend


@asynccontextmanager
async def local(folder: Path) -> AsyncIterator[Backend]:
    """A child process with an embedded engine."""
    async with open_backend(BackendSettings("local", "local:", state=folder)) as backend:
        yield backend


@asynccontextmanager
async def vast(folder: Path) -> AsyncIterator[Backend]:
    """An endpoint with two workers behind a local router, which clients reach with TLS."""
    async with AsyncExitStack() as stack:
        local_vast = await stack.enter_async_context(vast_router.serve(tls=True))
        spawn = await stack.enter_async_context(processes(folder))
        engine = stack.enter_context(start_engine(folder / "engine"))
        for number in (1, 2):
            await start_worker(spawn, local_vast, engine, number, folder / f"state-{number}")
        for number in (1, 2):
            await local_vast.record.until(loaded(number))
        key = SecretStr(local_vast.api_key)
        settings = BackendSettings("vast", "vast://comfy", key, api_url=local_vast.url, gpu="RTX 4090")
        yield await stack.enter_async_context(open_backend(settings))


@asynccontextmanager
async def runpod(folder: Path) -> AsyncIterator[Backend]:
    """A queue-based endpoint with one worker in this process."""
    async with AsyncExitStack() as stack:
        local_runpod = await stack.enter_async_context(
            runpod_stand_in.serve(assumptions=RunpodAssumptions(take_hold_s=1))
        )
        engine = stack.enter_context(start_engine(folder / "engine"))
        variables = local_runpod.worker_environ("worker-1")
        settings = settings_for(engine, folder / "state")
        serving = asyncio.create_task(choose(AUTO, variables).platform.serve(settings, variables))
        stack.push_async_callback(stop, serving)
        key = SecretStr(local_runpod.api_key)
        described = BackendSettings("runpod", "runpod://comfy", key, api_url=local_runpod.base_url, gpu="RTX 4090")
        yield await stack.enter_async_context(open_backend(described))


@asynccontextmanager
async def modal(folder: Path) -> AsyncIterator[Backend]:
    """The shipped app on a local stand-in, with a real container that starts a worker."""
    async with workspace(folder) as space:
        described = BackendSettings("modal", "modal://comfy-worker/ComfyUI", api_url=space.modal.url, gpu="L40S")
        async with open_backend(described) as backend:
            yield backend


BACKENDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Backend]]] = {
    "http": http,
    "local": local,
    "vast": vast,
    "runpod": runpod,
    "modal": modal,
}
"""Functions that open a backend, by its kind. Each gets an empty folder."""
