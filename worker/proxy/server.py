"""The table of routes of the proxy, and the server that listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

from aiohttp import web

from worker.api import meta as worker_meta
from worker.api.edge.browsers import BrowserCheck, browser_check
from worker.api.edge.cors import allow_origins
from worker.api.edge.malformed import limit_malformed_request_logs
from worker.api.edge.proxies import trusted_networks
from worker.api.openapi import document
from worker.api.services import OPENAPI
from worker.connections import HANDLER_OPTIONS, ConnectionLimits, LimitedSite
from worker.errors import CannotListen
from worker.proxy.routes import generate, jobs, meta, metrics, questions, runpod
from worker.proxy.routes.errors import errors
from worker.proxy.services import PROXY, ProxyServices
from worker.settings.connections import ConnectionSettings
from worker.supervision import Tasks

ROUTES = (
    web.post("/generate/sync", generate.generate_sync),
    web.post("/generate", generate.generate),
    web.post("/generate/stream", generate.generate_stream),
    web.get("/handlers", questions.list_handlers),
    web.post("/handlers/{name}", generate.call_handler),
    web.post("/validate", questions.validate),
    web.post("/convert", questions.convert),
    web.get("/jobs/{id}", jobs.get_job),
    web.delete("/jobs/{id}", jobs.cancel_job),
    web.get("/jobs/{id}/events", jobs.get_events, allow_head=False),
    web.get("/jobs/{id}/outputs/{n}", jobs.get_output),
    web.get("/result/{id}", jobs.get_job),
    web.get("/queue-info", jobs.queue_info),
    web.get("/templates", meta.list_templates),
    web.get("/templates/{name}", meta.get_template),
    web.get("/capabilities", meta.capabilities),
    web.get("/health", meta.health),
    web.get("/ping", meta.health),
    web.get("/ready", meta.ready),
    web.get("/openapi.json", worker_meta.openapi),
    web.get("/docs", worker_meta.docs),
    web.get("/metrics", metrics.get_metrics),
    *runpod.ROUTES,
    *runpod.ENDPOINT_ROUTES,
)

_document = cache(partial(document, ROUTES))


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of the proxy's routes."""
    return _document()


def application(services: ProxyServices) -> web.Application:
    """Return the aiohttp application with all routes, and the guards of a worker. Raises StartupError."""
    settings = services.server.settings()
    app = web.Application(middlewares=[errors], client_max_size=services.limits.total)
    check = BrowserCheck.of(settings)
    if not services.callers.keys:
        app.middlewares.append(browser_check(check))
    if check.cors.enabled:
        allow_origins(app, check.cors)
    app[PROXY] = services
    app[OPENAPI] = openapi
    app.add_routes(ROUTES)
    return app


@asynccontextmanager
async def listen(services: ProxyServices, tasks: Tasks) -> AsyncIterator[str]:
    """Serve until the context ends, and yield the URL. A handler is cancelled when its client disconnects.

    Raises StartupError.
    """
    options = {"handler_cancellation": True, "access_log": None, "shutdown_timeout": 1.0, **HANDLER_OPTIONS}
    runner = web.AppRunner(application(services), **options)
    await runner.setup()
    host, port, limits = services.server.host, services.server.port, ConnectionSettings()
    trusted = trusted_networks(services.server.settings().trusted_proxies)
    site_limits = ConnectionLimits(limits.header_s, limits.body_s, limits.max_unauthenticated, trusted)
    with limit_malformed_request_logs():
        try:
            try:
                await LimitedSite(runner, host, port, limits=site_limits, tasks=tasks).start()
            except (OSError, OverflowError) as error:
                raise CannotListen(host, port, error) from error
            yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()
