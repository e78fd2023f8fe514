"""What the routes work with."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from worker.api.auth import Auth
from worker.api.edge.hosts import allowed_hosts, connected_host, is_own_host, read_host
from worker.api.edge.proxies import client_view, trusted_networks
from worker.engine.pool import EnginePool
from worker.events import Observers
from worker.intake import Intake
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
    permanent_failure: Callable[[], str | None]
    """A sentence while the worker cannot recover by itself, None while it can."""
    state_damage: Sequence[str] = ()
    """Names of files and folders of the state folder that were moved aside at the start."""

    @property
    def sync_limit_s(self) -> float | None:
        """Seconds after which a synchronous request is answered 202: the operator's limit, else the platform's."""
        return self.settings.limits.sync_limit_s or self.traits.sync_limit_s


SERVICES = web.AppKey("services", Services)
OPENAPI: web.AppKey[Callable[[], dict[str, Any]]] = web.AppKey("openapi")
"""Makes the description of the routes, which stand above the handlers that serve it."""


SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; img-src 'self' data:; media-src 'self' data:; "
    "style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; sandbox",
}
"""On every answer that may hold what a workflow made: no browser runs it as a page, or lets it load anything."""


def services_of(request: web.Request) -> Services:
    return request.app[SERVICES]


def base_url(request: web.Request, found: Services) -> str:
    """Where the client reaches this worker: as the operator says, else as the client asked.

    A reverse proxy that the operator trusts says how the client asked. What was asked is a host for sure, and one of
    WORKER_ALLOWED_HOSTS where there are any; else the address that the client is connected to stands in its place.
    """
    settings = found.settings.server
    if settings.public_url:
        return settings.public_url.rstrip("/")
    view, reached = client_view(request, trusted_networks(settings.trusted_proxies)), connected_host(request)
    host = read_host(view.host)
    if settings.allowed_hosts and not (host and is_own_host(host, reached, allowed_hosts(settings.allowed_hosts))):
        return f"{request.scheme}://{reached}"
    return view.base_url


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:  # noqa: ANN401
    headers = {**SAFE_HEADERS, **(headers or {})}
    try:
        data = orjson.dumps(body)
    except orjson.JSONEncodeError:  # a text in it has bytes of a header or a part that are no UTF-8
        data = json.dumps(body, ensure_ascii=False).encode(errors="replace")
    return web.Response(body=data, status=status, headers=headers, content_type="application/json")
