"""The table of routes, and the server that listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from typing import Any

from aiohttp import web

from worker.api import convert, generate, jobs, meta, metrics, templates, validate
from worker.api.comfy.server import add_comfy_routes
from worker.api.edge.authenticated import mark_authenticated_callers
from worker.api.edge.authorization import authorization_of
from worker.api.edge.browsers import BrowserCheck, browser_check
from worker.api.edge.cors import allow_origins
from worker.api.edge.malformed import limit_malformed_request_logs
from worker.api.edge.proxies import trusted_networks
from worker.api.errors import errors
from worker.api.handlers.routes import call_handler, list_handlers
from worker.api.handlers.running import running_handlers
from worker.api.openapi import document
from worker.api.services import OPENAPI, SERVICES, Services
from worker.connections import HANDLER_OPTIONS, ConnectionLimits, LimitedSite
from worker.errors import CannotListen, StartupError
from worker.intake import Caller
from worker.platforms.base import Authenticator
from worker.settings import Settings
from worker.supervision import Tasks

ROUTES = (
    web.post("/generate/sync", generate.generate_sync),
    web.post("/generate", generate.generate),
    web.post("/generate/stream", generate.generate_stream),
    web.get("/handlers", list_handlers),
    web.post("/handlers/{name}", call_handler),
    web.post("/validate", validate.validate),
    web.post("/convert", convert.convert_workflow),
    web.get("/jobs/{id}", jobs.get_job),
    web.delete("/jobs/{id}", jobs.cancel_job),
    web.get("/jobs/{id}/events", jobs.get_events, allow_head=False),
    web.get("/jobs/{id}/outputs/{n}", jobs.get_output),
    web.post("/jobs/{id}/deliver", jobs.deliver_job),
    web.get("/result/{id}", jobs.get_stock_result),
    web.post("/cancel/{id}", jobs.cancel_job),
    web.get("/queue-info", jobs.queue_info),
    web.get("/health", meta.health),
    web.get("/ready", meta.ready),
    web.get("/capabilities", meta.capabilities),
    web.get("/metrics", metrics.get_metrics),
    web.get("/templates", templates.list_templates),
    web.get("/templates/{name}", templates.get_template),
    web.get("/openapi.json", meta.openapi),
    web.get("/docs", meta.docs),
)


_document = cache(partial(document, ROUTES))


def openapi() -> dict[str, Any]:
    """Return the OpenAPI document of all routes. It is created on the first call and then cached."""
    return _document()


def application(services: Services) -> web.Application:
    """Return the aiohttp application with all routes. Raises StartupError for invalid settings."""
    app = web.Application(
        middlewares=[errors, mark_authenticated_callers], client_max_size=services.intake.limits.total
    )
    settings = services.settings.server
    check = BrowserCheck.of(settings)
    if not services.access.tokens and services.traits.authenticates is Authenticator.WORKER:
        app.middlewares.append(browser_check(check))
    if check.cors.enabled:
        allow_origins(app, check.cors)
    app[SERVICES] = services
    app[OPENAPI] = openapi
    app.add_routes(ROUTES)
    if settings.comfy_api:
        _add_comfy_api(app, services)
    return app


def _add_comfy_api(app: web.Application, services: Services) -> None:
    """Add ComfyUI's routes, with the callers that the gateway authenticates. Raises StartupError."""
    if not services.traits.job_urls:
        raise StartupError(
            "WORKER_COMFY_API=1 has no use on this platform: its clients reach the worker only through the platform, "
            "which forwards no other routes: unset WORKER_COMFY_API, or use a worker with WORKER_PLATFORM=none"
        )
    access = services.access

    def identify(request: web.Request) -> Caller:
        """Return the caller by its token."""
        return Caller(access.authenticate(authorization_of(request)))

    add_comfy_routes(app, identify)


@asynccontextmanager
async def listen(services: Services, tasks: Tasks) -> AsyncIterator[str]:
    """Serve until the context ends, also to the processes of handlers, and yield the URL of the gateway.

    A route's handler is cancelled when its client disconnects. Raises StartupError.
    """
    options = {"handler_cancellation": True, "access_log": None, "shutdown_timeout": 1.0, **HANDLER_OPTIONS}
    runner = web.AppRunner(application(services), **options)
    await runner.setup()
    with limit_malformed_request_logs():
        try:
            settings = services.settings
            limits = connection_limits(settings)
            host, port = settings.server.host, settings.server.port
            try:
                await LimitedSite(runner, host, port, limits=limits, tasks=tasks).start()
            except (OSError, OverflowError) as error:
                raise CannotListen(host, port, error) from error
            async with running_handlers(services, tasks):
                yield f"http://{host}:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return the limits on the connections of a port. Raises StartupError."""
    limits = settings.connections
    trusted = trusted_networks(settings.server.trusted_proxies)
    return ConnectionLimits(limits.header_s, limits.body_s, limits.max_unauthenticated, trusted)
