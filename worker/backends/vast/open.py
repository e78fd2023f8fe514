"""Opens the backend for an endpoint of Vast."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.backends.base import Backend
from worker.backends.http.connection import HttpConnection, open_session
from worker.backends.price import price_of
from worker.backends.settings import BackendSettings, number_option
from worker.backends.vast.backend import VastBackend
from worker.backends.vast.lost_workers import LostWorkers
from worker.backends.vast.router import VastRouter
from worker.platforms.vast.access import open_access

READY_S = 120.0
"""Longest wait for the router to choose a worker."""
GONE_S = 300.0
"""Seconds of silence after which the jobs of a worker count as lost."""


@asynccontextmanager
async def open_vast(settings: BackendSettings) -> AsyncIterator[Backend]:
    """Open an endpoint: `vast://ENDPOINT?ready_s=120&gone_s=300`. Raises StartupError."""
    options = settings.options("ready_s", "gone_s")
    ready_s, gone_s = number_option(options, "ready_s", READY_S), number_option(options, "gone_s", GONE_S)
    price = price_of(settings)
    async with (
        open_access(settings.target, settings.key, settings.api_url or None) as access,
        open_session() as session,
    ):
        connection = HttpConnection(settings.name, session, access.router_url)
        router = VastRouter(settings.name, access, connection, ready_s)
        yield VastBackend(router, LostWorkers(gone_s), price)
