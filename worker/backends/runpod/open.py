"""Opens the backend for a queue-based endpoint of RunPod."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from worker.backends.base import Backend
from worker.backends.http.connection import HttpConnection, open_session
from worker.backends.price import price_of
from worker.backends.runpod.api import RunpodApi
from worker.backends.runpod.backend import JobForm, RunpodBackend, WholeRequests
from worker.backends.runpod.stock_form import StockImage
from worker.backends.settings import BackendSettings
from worker.errors import StartupError

API_URL = "https://api.runpod.ai/v2"
FORMS = {"": WholeRequests, "comfy-worker": WholeRequests, "worker-comfyui": StockImage}
"""Forms of jobs by the option `dialect`."""


@asynccontextmanager
async def open_runpod(settings: BackendSettings) -> AsyncIterator[Backend]:
    """Open an endpoint: `runpod://ENDPOINT_ID`, with `?dialect=worker-comfyui` for one of the stock image.

    Raises StartupError without a key, and for an unknown option.
    """
    if settings.key is None:
        raise StartupError(f"{settings.name}: RUNPOD_API_KEY is not set")
    dialect = settings.options("dialect").get("dialect", "")
    if dialect not in FORMS:
        raise StartupError(f"{settings.name}: dialect={dialect!r} is none of {', '.join(filter(None, FORMS))}")
    form: JobForm = FORMS[dialect]()
    url = f"{(settings.api_url or API_URL).rstrip('/')}/{settings.target}"
    async with open_session() as session:
        api = RunpodApi(settings.name, HttpConnection(settings.name, session, url, settings.key))
        yield RunpodBackend(settings.name, api, form, price_of(settings))
