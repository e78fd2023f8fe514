"""The ways to ask for work: wait for it, come back for it, or watch it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from aiohttp import hdrs, web

from worker.api.raw.response import FileRequest, file_request_of, file_response
from worker.api.request_body import caller_of, receive_body
from worker.api.responses import job_response, pending_response
from worker.api.services import Services, services_of
from worker.api.sse import stream_events
from worker.connections import mark_authenticated
from worker.job import Job

ANYTHING = "*/*"


@dataclass(frozen=True, slots=True)
class GenerateRoute:
    """One way to ask. `collectable`: the client gets id and token, whatever becomes of the connection.

    `raw`: the answer may be a file. `follows`: the answer is the job's events.
    """

    collectable: bool
    respond: Callable[[web.Request, Services, Job], Awaitable[web.StreamResponse]]
    raw: bool = False
    follows: bool = False


async def generate_sync(request: web.Request) -> web.StreamResponse:
    """`POST /generate/sync`: the result, as a file where Accept prefers one; 202 after WORKER_SYNC_LIMIT."""
    return await SYNC.respond(request, services_of(request), await accept(request, SYNC))


async def generate(request: web.Request) -> web.StreamResponse:
    """`POST /generate`: 202 at once, with the token that opens the result."""
    return await ASYNC.respond(request, services_of(request), await accept(request, ASYNC))


async def generate_stream(request: web.Request) -> web.StreamResponse:
    """`POST /generate/stream`: every event as it happens, the last one is the result."""
    return await STREAM.respond(request, services_of(request), await accept(request, STREAM))


async def accept(request: web.Request, way: GenerateRoute) -> Job:
    """Let the caller in, and only then read what it sends."""
    found = services_of(request)
    principal = found.access.admit(request.headers.get(hdrs.AUTHORIZATION, ""))
    async with receive_body(request) as (body, files):
        raw = way.raw and _file_request_of(request, found) is not None
        caller = caller_of(request, principal, collectable=way.collectable)
        job = await found.intake.submit(body, replace(caller, raw=raw, follows=way.follows), files)
    mark_authenticated(request)  # where there are no tokens, a job is the proof
    return job


async def wait_for_result(request: web.Request, found: Services, job: Job) -> web.StreamResponse:
    """Wait for the job, but not longer than WORKER_SYNC_LIMIT, and answer with JSON."""
    await _ended_or_detached(found, job)
    return await job_response(request, found, job)


async def _file_or_result_of(request: web.Request, found: Services, job: Job) -> web.StreamResponse:
    """Wait in the same way, and answer with a file where the client prefers one."""
    await _ended_or_detached(found, job)
    wish = _file_request_of(request, found)
    return await (file_response(request, found, job, wish) if wish else job_response(request, found, job))


def _file_request_of(request: web.Request, found: Services) -> FileRequest | None:
    """Most clients accept anything, and want no file."""
    if request.headers.get(hdrs.ACCEPT, ANYTHING) == ANYTHING:
        return None
    return file_request_of(request, found.traits)


async def _ended_or_detached(found: Services, job: Job) -> None:
    async with found.manager.count_waiter(job):
        try:
            async with asyncio.timeout(found.sync_limit_s):
                await found.manager.wait_for_end(job)
        except TimeoutError:
            await found.manager.detach(job)


async def _later(request: web.Request, found: Services, job: Job) -> web.StreamResponse:
    job.detached = True
    return pending_response(request, found, job)


SYNC = GenerateRoute(collectable=False, respond=_file_or_result_of, raw=True)
ASYNC = GenerateRoute(collectable=True, respond=_later)
STREAM = GenerateRoute(collectable=True, respond=stream_events, follows=True)
GENERATE_ROUTES = {"/generate/sync": SYNC, "/generate": ASYNC, "/generate/stream": STREAM}
"""By path, for a platform that receives the request itself."""
