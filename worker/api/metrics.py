"""`GET /metrics`: the worker's numbers for Prometheus."""

from __future__ import annotations

import asyncio
import shutil

from aiohttp import hdrs, web

from worker.api.auth import loopback
from worker.api.edge.hosts import requested_host
from worker.api.services import Services, services_of
from worker.engine.process.sandbox.support import engines_sandbox
from worker.errors import WorkerError
from worker.job import JobState
from worker.observers.snapshot import Snapshot

FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP", "Via")
"""A proxy on this machine sends these: then its peer is this machine, and the client may be anybody."""


async def get_metrics(request: web.Request) -> web.Response:
    """`GET /metrics`: metrics in Prometheus' text format, or in OpenMetrics' if the request accepts it."""
    found = services_of(request)
    found.access.check_scraper(request.headers.get(hdrs.AUTHORIZATION, ""), from_here=is_local_request(request))
    now, accept = snapshot(found), ",".join(request.headers.getall(hdrs.ACCEPT, ()))
    page, content_type = await asyncio.to_thread(found.metrics.render, now, accept)
    return web.Response(body=page, headers={hdrs.CONTENT_TYPE: content_type, hdrs.CACHE_CONTROL: "no-store"})


def is_local_request(request: web.Request) -> bool:
    """Whether a process of this machine asks, not through a proxy and not for a page of another origin."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    if not isinstance(peer, tuple) or any(name in request.headers for name in FORWARDED):
        return False
    # A browser on this machine can be made to ask for any name that its owner points to 127.0.0.1.
    host = requested_host(request)
    return loopback(peer[0]) and host is not None and host.loopback


def snapshot(found: Services) -> Snapshot:
    """The numbers of this moment."""
    states, admission = found.manager.states(), found.manager.admission
    engines = found.engines.engines
    connected = sum(engine.connected for engine in engines)
    return Snapshot(
        running=states[JobState.GENERATING],
        waiting=states[JobState.QUEUED] + states[JobState.PREPARING] + states[JobState.WAITING],
        delivering=states[JobState.DELIVERING],
        load_units=admission.load.workload,
        queue_work_s=admission.wait_s(),
        engines_connected=connected,
        engines_away=len(engines) - connected,
        disk_free=_disk_free(found),
        set_aside=found.manager.set_aside,
        ready=connected > 0 and _admits(found),
        sandbox=_sandbox(found),
    )


def _sandbox(found: Services) -> str:
    status = engines_sandbox(found.settings)
    return status.state.value if status is not None else ""


def _disk_free(found: Services) -> int:
    """Bytes; 0 where the state folder is gone: then the metrics are wanted most."""
    try:
        return shutil.disk_usage(found.settings.state).free
    except OSError:
        return 0


def _admits(found: Services) -> bool:
    try:
        found.manager.admit()
        found.models.check_ready()
    except (WorkerError, OSError):
        return False
    return True
