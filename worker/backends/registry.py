"""Opens backends by the kind of their URL. A new kind is one folder here and one line in OPENERS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp

from worker.backends.base import Backend, GpuPrice
from worker.backends.http.backend import HttpBackend
from worker.backends.http.connection import KEEP_ALIVE_S, SESSION_TIMEOUT, HttpConnection
from worker.backends.settings import BackendSettings

Opener = Callable[[BackendSettings], AbstractAsyncContextManager[Backend]]


@asynccontextmanager
async def _open_http(settings: BackendSettings) -> AsyncIterator[Backend]:
    """Open a worker at a URL. Each waiting job needs a connection of its own, so their number is not limited."""
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S)
    async with aiohttp.ClientSession(connector=connector, timeout=SESSION_TIMEOUT) as session:
        connection = HttpConnection(settings.name, session, settings.url, settings.key)
        price = None if settings.usd_hour is None else GpuPrice(settings.usd_hour, "the settings of the backend")
        yield HttpBackend(settings.name, connection, price)


OPENERS: Mapping[str, Opener] = {"http": _open_http}
"""Functions that open a backend, by its kind."""


def open_backend(settings: BackendSettings) -> AbstractAsyncContextManager[Backend]:
    """Open a backend. Entering the context raises StartupError if that fails for a reason that a retry cannot change.

    A backend that is only unreachable opens, and its operations raise BackendUnreachable.
    """
    return OPENERS[settings.kind](settings)
