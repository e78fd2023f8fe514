"""The route `GET /metrics`."""

from __future__ import annotations

import asyncio
import shutil

from aiohttp import hdrs, web

from worker.api.auth import is_loopback
from worker.api.edge.authorization import authorization_of
from worker.api.edge.hosts import requested_host
from worker.api.services import Services, services_of
from worker.engine.process.sandbox.support import engines_sandbox
from worker.errors import WorkerError
from worker.job import JobState
from worker.observers.snapshot import Snapshot

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
"""Headers of proxies. A request with one of them may come from another machine."""


async def get_metrics(request: web.Request) -> web.Response:
    """Handle `GET /metrics`: return metrics in Prometheus' text format, or in OpenMetrics if the request accepts it."""
    services = services_of(request)
    services.access.check_scraper(authorization_of(request), is_local=is_local_request(request))
    accept = ",".join(request.headers.getall(hdrs.ACCEPT, ()))
    page, content_type = await asyncio.to_thread(services.metrics.render, snapshot(services), accept)
    return web.Response(body=page, headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"})


def is_local_request(request: web.Request) -> bool:
    """Return whether a process on this machine sent the request.

    Requests through a proxy or for a page of another origin do not count.
    """
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not isinstance(peer, tuple) or any(name in request.headers for name in FORWARDED):
        return False
    # A page in a browser on this machine can use any name whose DNS leads to 127.0.0.1.
    host = requested_host(request)
    return is_loopback(peer[0]) and host is not None and host.loopback


def snapshot(services: Services) -> Snapshot:
    """Return the current numbers of the worker for its metrics."""
    states, admission = services.manager.states(), services.manager.admission
    engines = services.engines.engines
    connected = sum(engine.connected for engine in engines)
    return Snapshot(
        running=states[JobState.GENERATING],
        waiting=states[JobState.QUEUED] + states[JobState.PREPARING] + states[JobState.WAITING],
        delivering=states[JobState.DELIVERING],
        load_units=admission.load.workload,
        queue_work_s=admission.estimates.queue_s(),
        engines_connected=connected,
        engines_away=len(engines) - connected,
        disk_free=_disk_free(services),
        set_aside=services.manager.set_aside,
        ready=connected > 0 and _admits(services),
        sandbox=_sandbox(services),
        usd_hour=services.settings.usd_hour,
        slowdowns=services.machine.slowdowns,
        engine_uses=services.metrics.engine_uses.times(),
        gpus=services.machine.gpus.report(),
    )


def _sandbox(services: Services) -> str:
    """Return the state of ComfyUI's sandbox, or an empty string if the worker did not start ComfyUI."""
    status = engines_sandbox(services.settings)
    return status.state.value if status is not None else ""


def _disk_free(services: Services) -> int:
    """Return the free bytes of the disk with the state folder, or 0 if the folder does not exist."""
    try:
        return shutil.disk_usage(services.settings.state).free
    except OSError:
        return 0


def _admits(services: Services) -> bool:
    """Return whether a job would be accepted now."""
    try:
        services.manager.admit()
        services.models.check_ready()
    except (WorkerError, OSError):
        return False
    return True
