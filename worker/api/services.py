"""The components that routes use, and helpers for responses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from worker.api.auth import Auth
from worker.api.comfy.clients import ComfyClients
from worker.api.edge.hosts import allowed_hosts, connected_host, is_own_host, read_host
from worker.api.edge.proxies import client_view, trusted_networks
from worker.engine.pool import EnginePool
from worker.errors import NotFound
from worker.events import Observers
from worker.gpus.machine_monitor import MachineMonitor
from worker.intake import Intake
from worker.intake.handler_calls import HandlerCalls
from worker.jobs.manager import JobManager
from worker.models.service import Models
from worker.observers.metrics import Metrics
from worker.observers.replay import Replay
from worker.outputs.delivery import Delivery
from worker.outputs.files import Outputs
from worker.platforms.base import Traits
from worker.preflight import Preflight
from worker.settings import Settings
from worker.startup_timing import StartupTiming
from worker.workflow.templates.template import Library


@dataclass(frozen=True, slots=True)
class Services:
    """The components of the worker that routes use."""

    settings: Settings
    traits: Traits
    manager: JobManager
    engines: EnginePool
    outputs: Outputs
    replay: Replay
    access: Auth
    delivery: Delivery
    library: Library
    intake: Intake
    preflight: Preflight
    models: Models
    timing: StartupTiming
    observers: Observers
    metrics: Metrics
    machine: MachineMonitor
    comfy: ComfyClients
    permanent_failure: Callable[[], str | None]
    """Returns a sentence if only a restart can help the worker, else None."""
    state_damage: Sequence[str] = ()
    """Names in the state folder that were damaged and moved aside at the start."""
    handlers: HandlerCalls | None = None
    """Calls of handlers, None if the worker has none."""

    @property
    def sync_limit_s(self) -> float | None:
        """Seconds after which a synchronous request returns 202, or None for no limit.

        WORKER_SYNC_LIMIT takes precedence over the limit of the platform.
        """
        return self.settings.limits.sync_limit_s or self.traits.sync_limit_s

    @property
    def handler_calls(self) -> HandlerCalls:
        """The calls of this worker. Raises NotFound if it has no handlers."""
        if self.handlers is None:
            raise NotFound("this worker has no handlers: set WORKER_HANDLERS to the folder of an app")
        return self.handlers


SERVICES = web.AppKey("services", Services)
OPENAPI: web.AppKey[Callable[[], dict[str, Any]]] = web.AppKey("openapi")
"""Returns the OpenAPI document."""


SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; media-src 'self' data:; "
    "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; sandbox",
}
"""Headers of responses that may contain data of a workflow.

Browsers do not run it as a page or load anything from it.
"""


def services_of(request: web.Request) -> Services:
    """Return the components for the application of a request."""
    return request.app[SERVICES]


def base_url(request: web.Request, services: Services) -> str:
    """Return the URL at which the client reaches this worker.

    This is WORKER_PUBLIC_URL if it is set, else the URL that the client requested, as a trusted proxy reports it. If
    WORKER_ALLOWED_HOSTS is set and does not allow the host of that URL, the result has the address that the client is
    connected to instead.
    """
    settings = services.settings.server
    if settings.public_url:
        return settings.public_url.rstrip("/")
    view = client_view(request, trusted_networks(settings.trusted_proxies))
    requested, connected = read_host(view.host), connected_host(request)
    allowed = allowed_hosts(settings.allowed_hosts)
    if settings.allowed_hosts and not (requested and is_own_host(requested, connected, allowed)):
        return f"{request.scheme}://{connected}"
    return view.base_url


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:  # noqa: ANN401
    """Return a JSON response. Text that is not valid UTF-8 is replaced."""
    headers = {**SAFE_HEADERS, **(headers or {})}
    try:
        data = orjson.dumps(body)
    except orjson.JSONEncodeError:  # a text has bytes from a header or part that are not UTF-8
        data = json.dumps(body, ensure_ascii=False).encode(errors="replace")
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")
