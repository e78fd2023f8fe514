"""What the routes work with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from worker.api.auth import Auth
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
    trouble: Callable[[], str | None]
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


def services(request: web.Request) -> Services:
    return request.app[SERVICES]


def base_url(request: web.Request, found: Services) -> str:
    """Where the client reaches this worker: as the operator says, else as the client asked.

    A reverse proxy that the operator trusts says how the client asked.
    """
    settings = found.settings.server
    if settings.public_url:
        return settings.public_url.rstrip("/")
    if settings.trusted_proxies:
        return client_view(request, trusted_networks(settings.trusted_proxies)).base_url
    return f"{request.scheme}://{request.host}"


def json_response(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:  # noqa: ANN401
    return web.Response(body=orjson.dumps(body), status=status, headers=headers, content_type="application/json")
