"""Opens the backend for a worker that is started here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import ClassVar

from pydantic import SecretStr

from worker.backends.base import Backend, GpuPrice
from worker.backends.http.backend import HttpBackend
from worker.backends.http.connection import HttpConnection, open_session
from worker.backends.local.child_worker import ChildWorker
from worker.backends.price import price_of
from worker.backends.settings import BackendSettings


class LocalBackend(HttpBackend):
    """A child process. Its journal survives its death, so that a repeated submission finds its job as at a URL."""

    kind: ClassVar[str] = "local"

    def __init__(self, child: ChildWorker, name: str, connection: HttpConnection, price: GpuPrice | None) -> None:
        super().__init__(name, connection, price)
        self.child = child


@asynccontextmanager
async def open_local(settings: BackendSettings) -> AsyncIterator[Backend]:
    """Start a worker in a folder below `settings.state`, and stop it at the end. Raises StartupError.

    The worker has the settings of this process's environment: WORKER_COMFYUI chooses its ComfyUI.
    """
    child = ChildWorker(settings.state / settings.name)
    async with child.running(), open_session() as session:
        connection = HttpConnection(settings.name, session, child.url, SecretStr(child.token))
        yield LocalBackend(child, settings.name, connection, price_of(settings))
