"""Opens the backend for a class of a Modal app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.backends.base import Backend
from worker.backends.modal.backend import ModalBackend
from worker.backends.price import price_of
from worker.backends.settings import BackendSettings
from worker.errors import StartupError
from worker.platforms.modal.calls import open_class


@asynccontextmanager
async def open_modal(settings: BackendSettings) -> AsyncIterator[Backend]:
    """Open a class: `modal://APP/CLASS`. Raises StartupError."""
    settings.options()
    app, _, name = settings.target.partition("/")
    if not app or not name or "/" in name:
        raise StartupError(f"{settings.name}: {settings.url!r} is not of the form modal://APP/CLASS")
    price = price_of(settings)
    async with open_class(app, name, settings.api_url, settings.key) as (deployed, takes_requests):
        yield ModalBackend(settings.name, deployed, whole=takes_requests, price=price)
