"""Routes that start jobs: wait for the result, fetch it later, or stream events."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from aiohttp import hdrs, web

from worker.api.edge.authorization import authorization_of
from worker.api.errors import DIALECT
from worker.api.raw.response import FileRequest, file_request_of, file_response
from worker.api.request_body import caller_of, receive_body
from worker.api.responses import job_response, pending_response
from worker.api.services import Services, services_of
from worker.api.sse import stream_events
from worker.bodies import ScannedBody
from worker.connections import mark_authenticated
from worker.dialects import RUNPOD
from worker.inputs import SentFile
from worker.intake import Caller
from worker.intake.body_forms import handler_call_in
from worker.job import Job

ANYTHING = "*/*"


@dataclass(frozen=True, slots=True)
class GenerateRoute:
    """One way to start a job and to respond.

    - `collectable` means that the client gets id and token, so it can fetch the result after a disconnect.
    - `respond` sends the response.
    - `raw` means that the response may be a file.
    - `follows` means that the response contains the events of the job.
    """

    collectable: bool
    respond: Callable[[web.Request, Services, Job], Awaitable[web.StreamResponse]]
    raw: bool = False
    follows: bool = False


async def generate_sync(request: web.Request) -> web.StreamResponse:
    """Handle `POST /generate/sync`: return the result, or 202 after WORKER_SYNC_LIMIT.

    The result is a file if `Accept` prefers one.
    """
    job = await accept_job(request, SYNC_ROUTE)
    return await SYNC_ROUTE.respond(request, services_of(request), job)


async def generate(request: web.Request) -> web.StreamResponse:
    """Handle `POST /generate`: return 202 with the token for the result."""
    job = await accept_job(request, ASYNC_ROUTE)
    return await ASYNC_ROUTE.respond(request, services_of(request), job)


async def generate_stream(request: web.Request) -> web.StreamResponse:
    """Handle `POST /generate/stream`: stream all events of the job. The last one is the result."""
    job = await accept_job(request, STREAM_ROUTE)
    return await STREAM_ROUTE.respond(request, services_of(request), job)


async def accept_job(request: web.Request, route: GenerateRoute) -> Job:
    """Authenticate the caller, read the body, and return the job that it starts or has started before."""
    services = services_of(request)
    principal = services.access.admit(authorization_of(request))
    async with receive_body(request) as (body, files):
        wants_file = route.raw and _file_request_of(request, services) is not None
        caller = caller_of(request, principal, collectable=route.collectable)
        job = await submit(request, body, replace(caller, raw=wants_file, follows=route.follows), files)
    mark_authenticated(request)  # without tokens, an accepted job counts as authentication
    return job


async def submit(request: web.Request, body: ScannedBody, caller: Caller, files: Sequence[SentFile] = ()) -> Job:
    """Start the job of a body that was received: the call of a handler in `input`, or else that of a workflow."""
    services = services_of(request)
    call = handler_call_in(body)
    if call is None:
        return await services.intake.submit(body, caller, files, request.get(DIALECT))
    request[DIALECT] = RUNPOD
    calls = services.handler_calls
    return await calls.accept(await calls.read_input(*call, caller))


async def wait_for_result(request: web.Request, services: Services, job: Job) -> web.StreamResponse:
    """Wait for the job, at most WORKER_SYNC_LIMIT, and respond with JSON."""
    await wait_or_detach(services, job)
    return await job_response(request, services, job)


async def _wait_for_file_or_result(request: web.Request, services: Services, job: Job) -> web.StreamResponse:
    """Wait for the job, at most WORKER_SYNC_LIMIT, and respond with a file if the client prefers one."""
    await wait_or_detach(services, job)
    file_request = _file_request_of(request, services)
    if file_request is None:
        return await job_response(request, services, job)
    return await file_response(request, services, job, file_request)


def _file_request_of(request: web.Request, services: Services) -> FileRequest | None:
    """Return the request for a file, or None if the response is JSON. A client that accepts anything gets JSON."""
    if request.headers.get(hdrs.ACCEPT, ANYTHING) == ANYTHING:
        return None
    return file_request_of(request, services.traits)


async def wait_or_detach(services: Services, job: Job, wait_s: float | None = None) -> None:
    """Wait for the job, at most WORKER_SYNC_LIMIT and at most `wait_s`. Then let it continue without a client."""
    limit_s = min(filter(None, (services.sync_limit_s, wait_s)), default=None)
    async with services.manager.count_waiter(job):
        try:
            async with asyncio.timeout(limit_s):
                await services.manager.wait_for_end(job)
        except TimeoutError:
            await services.manager.detach(job)


async def _respond_pending(request: web.Request, services: Services, job: Job) -> web.StreamResponse:
    """Let the job continue without a client, and respond with 202."""
    job.detached = True
    return pending_response(request, services, job)


SYNC_ROUTE = GenerateRoute(collectable=False, respond=_wait_for_file_or_result, raw=True)
ASYNC_ROUTE = GenerateRoute(collectable=True, respond=_respond_pending)
STREAM_ROUTE = GenerateRoute(collectable=True, respond=stream_events, follows=True)
GENERATE_ROUTES = {"/generate/sync": SYNC_ROUTE, "/generate": ASYNC_ROUTE, "/generate/stream": STREAM_ROUTE}
"""Routes by path, for a platform that receives requests itself."""
