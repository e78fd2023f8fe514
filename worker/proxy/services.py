"""The parts of the proxy that its routes use."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from worker.api.edge.authorization import authorization_of
from worker.api.edge.proxies import client_view, trusted_networks
from worker.bodies import BodyLimits
from worker.connections import mark_authenticated
from worker.errors import Unauthorized
from worker.proxy.callers import Callers, ProxyCaller
from worker.proxy.config.tables import ServerTable
from worker.proxy.dispatch.routing import Routing
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.events import ProxyEvent
from worker.proxy.job import ProxyJob
from worker.proxy.jobs import ProxyJobs
from worker.proxy.metrics.recorder import ProxyMetrics
from worker.proxy.results.outputs import JobOutputs
from worker.workflow.templates.template import Library


@dataclass(frozen=True, slots=True)
class ProxyServices:
    """The parts of the proxy that its routes use. `spool` is the folder for large bodies while they arrive."""

    server: ServerTable
    jobs: ProxyJobs
    slots: Mapping[str, BackendSlot]
    callers: Callers
    routing: Routing
    outputs: JobOutputs
    library: Library
    metrics: ProxyMetrics
    notify: Callable[[ProxyEvent], None]
    spool: Path
    limits: BodyLimits


PROXY = web.AppKey("proxy", ProxyServices)


def proxy_of(request: web.Request) -> ProxyServices:
    """Return the parts for the application of a request."""
    return request.app[PROXY]


def caller_of(request: web.Request) -> ProxyCaller:
    """Return the caller of a request. Raises Unauthorized."""
    return proxy_of(request).callers.authenticate(authorization_of(request))


def base_url(request: web.Request) -> str:
    """Return the URL at which the client reaches the proxy."""
    settings = proxy_of(request).server.settings()
    if settings.public_url:
        return settings.public_url.rstrip("/")
    return client_view(request, trusted_networks(settings.trusted_proxies)).base_url


def job_of(request: web.Request) -> ProxyJob:
    """Return the job whose id is in the path. The request needs its token, or the key of its caller.

    Raises NotFound for all other callers.
    """
    services, job_id = proxy_of(request), request.match_info["id"]
    authorization = authorization_of(request)
    # Without keys, all callers have the same name, so that only the token of the job counts.
    if services.callers.keys:
        with suppress(Unauthorized):
            return services.jobs.index.find(job_id, caller=services.callers.authenticate(authorization).name)
    scheme, _, token = authorization.partition(" ")
    token = token.strip() if scheme.lower() == "bearer" else request.query.get("token", "")
    job = services.jobs.index.find(job_id, token=token)
    mark_authenticated(request)
    return job
