"""Routes that start jobs: wait for the result, fetch it later, or follow the events."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace

from aiohttp import web

from worker.connections import mark_authenticated
from worker.jobs.job_index import check_job_id
from worker.proxy.callers import ProxyCaller, check_open_jobs
from worker.proxy.dispatch.routing import RouteRequest
from worker.proxy.events import JobReceived
from worker.proxy.job import ProxyJob
from worker.proxy.requests import ReceivedRequest, receive, receive_call
from worker.proxy.routes.responses import send_events, send_pending, send_result
from worker.proxy.services import caller_of, proxy_of

SUBMIT_S = 10.0
"""Seconds for which `POST /generate` waits until a backend has accepted the job, so that it can return its error."""


async def generate_sync(request: web.Request) -> web.StreamResponse:
    """Handle `POST /generate/sync`: run a job and return its result, or 202 after the server's `sync_limit_s`."""
    return await wait_and_send(request, await _start(request))


async def generate(request: web.Request) -> web.StreamResponse:
    """Handle `POST /generate`: return 202 with the token for the result, or an error if no backend takes the job."""
    job = await _start(request, JobKind(collectable=True))
    return await accepted_or_error(request, job) or await send_pending(request, job)


async def generate_stream(request: web.Request) -> web.StreamResponse:
    """Handle `POST /generate/stream`: stream the events of a job. The last one is the result."""
    job = await _start(request, JobKind(collectable=True, follows=True))
    return await accepted_or_error(request, job) or await send_events(request, job)


async def call_handler(request: web.Request) -> web.StreamResponse:
    """Handle `POST /handlers/{name}`: call a function of the team's app, and return its result."""
    services, caller = proxy_of(request), admit(request)
    later = "respond-async" in request.headers.get("Prefer", "").lower()
    received = await receive_call(request, request.match_info["name"], services.spool, services.limits)
    job = start(request, caller, received, JobKind(collectable=later))
    if later:
        return await accepted_or_error(request, job) or await send_pending(request, job)
    return await wait_and_send(request, job)


@dataclass(frozen=True, slots=True)
class JobKind:
    """How a route starts a job.

    `collectable` means that the caller gets id and token, `follows` that it gets the events. `job_id` is an id that the
    route has drawn, under which the backend knows the job too, so that webhooks have it.
    """

    collectable: bool = False
    follows: bool = False
    job_id: str = ""


def admit(request: web.Request, caller: ProxyCaller | None = None) -> ProxyCaller:
    """Return the caller of a request that starts a job, within its limits. Raises Unauthorized and RateLimited.

    `caller` is one that the route has authenticated in its own way.
    """
    caller = caller or caller_of(request)
    proxy_of(request).callers.count_request(caller)
    return caller


def start(request: web.Request, caller: ProxyCaller, received: ReceivedRequest, kind: JobKind) -> ProxyJob:
    """Start the job of a request that was read, or return the one that the same request has started before.

    Raises InvalidField, Forbidden, RateLimited, WorkerBusy, IdTaken and JournalUnavailable.
    """
    services, own_id, facts = proxy_of(request), received.own_id, received.facts
    if own_id:
        check_job_id(own_id)
    job = ProxyJob(
        caller=caller.name,
        request=received.json,
        facts=replace(facts, has_key=True) if received.headers else facts,
        id=own_id or kind.job_id,
        key=kind.job_id or uuid.uuid4().hex,
        fingerprint=received.fingerprint,
        headers=received.headers,
        collectable=kind.collectable or bool(own_id) or facts.wants_urls or facts.webhook,
        follows=kind.follows,
    )
    route = RouteRequest(caller, own_id or job.key, facts.template, facts.handler)
    if header := services.routing.sticky_header(route):
        job.facts = replace(job.facts, sticky=_header_text(request, header))
    if caller.max_jobs and services.jobs.index.get(caller.name, job.id) is None:
        check_open_jobs(caller, len(services.jobs.index.open_of(caller.name)))
    known = services.jobs.accept(job, has_own_id=bool(own_id))
    mark_authenticated(request)
    if known is job:
        services.notify(JobReceived(job))
    return known


def _header_text(request: web.Request, name: str) -> str:
    """Return a header as text that can be stored. It is empty without a name, and without the header."""
    value = request.headers.get(name, "") if name else ""
    return value.encode(errors="surrogateescape").decode(errors="replace")  # it may have bytes that are no text


async def wait_and_send(request: web.Request, job: ProxyJob, limit_s: float | None = None) -> web.StreamResponse:
    """Wait for the end of a job, at most `limit_s` or the server's limit, and send its result, or 202."""
    services = proxy_of(request)
    async with services.jobs.waiting(job):
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s or services.server.sync_limit_s or None):
                await job.ended.wait()
        if job.ended.is_set():
            return await _send_end(request, job)
        services.jobs.make_collectable(job)
        return await send_pending(request, job)


async def _start(request: web.Request, kind: JobKind = JobKind()) -> ProxyJob:
    """Admit the caller, read the body, and start the job."""
    services, caller = proxy_of(request), admit(request)
    received = await receive(request, services.spool, services.limits)
    return start(request, caller, received, kind)


async def accepted_or_error(request: web.Request, job: ProxyJob) -> web.StreamResponse | None:
    """Wait until a backend has accepted a job, and return None. If none takes it, send the error and forget the job."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SUBMIT_S):
            await job.accepted.wait()
    if not job.refused:
        job.promised = True
        return None
    return await _send_end(request, job)


async def _send_end(request: web.Request, job: ProxyJob) -> web.StreamResponse:
    """Send the result of a job. Forget one that no backend has accepted, so that its id can be used again."""
    response = await send_result(request, job)
    if job.refused:
        await proxy_of(request).jobs.forget(job)
    return response
