"""The backends under test, each in front of real processes on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from pydantic import SecretStr

from tests.conftest import worker
from tests.engines import start_engine
from worker.backends.base import Backend
from worker.backends.registry import open_backend
from worker.backends.settings import BackendSettings

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


BACKENDS: dict[str, Callable[[Path], AbstractAsyncContextManager[Backend]]] = {"http": http, "local": local}
"""Functions that open a backend, by its kind. Each gets an empty folder."""
