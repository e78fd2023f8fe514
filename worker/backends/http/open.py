"""Opens the backend for a worker at a URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.backends.base import Backend
from worker.backends.http.backend import HttpBackend
from worker.backends.http.connection import HttpConnection, open_session
from worker.backends.price import price_of
from worker.backends.settings import BackendSettings


@asynccontextmanager
async def open_http(settings: BackendSettings) -> AsyncIterator[Backend]:
    """Open a worker at a URL, which may have a path: that of a reverse proxy."""
    async with open_session() as session:
        connection = HttpConnection(settings.name, session, settings.url, settings.key)
        yield HttpBackend(settings.name, connection, price_of(settings))
