"""Starts the processes of handlers, each with a port at which it finds ComfyUI's API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.api.services import Services
from worker.supervision import Tasks


@asynccontextmanager
async def running_handlers(services: Services, tasks: Tasks) -> AsyncIterator[None]:
    """Run the processes of the app in the settings, if there is one, while the context lasts. Raises StartupError."""
    if services.handlers is None:
        yield
        return
    pool, first_port = services.handlers.pool, services.settings.handlers.port
    ports = {name: first_port + number for number, name in enumerate(pool.names)}
    pool.start(tasks, ports)
    yield
