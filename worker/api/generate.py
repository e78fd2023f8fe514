"""The ways to ask for work: wait for it, come back for it, or watch it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import hdrs, web

from worker.api.request_body import caller_of, received
from worker.api.responses import job_response, pending_response
from worker.api.services import Services, services
from worker.api.sse import stream_events
from worker.job import Job


@dataclass(frozen=True, slots=True)
class Way:
    """One way to ask. `collectable`: the client gets id and token, whatever becomes of the connection."""

    collectable: bool
    answer: Callable[[web.Request, Services, Job], Awaitable[web.StreamResponse]]


async def generate_sync(request: web.Request) -> web.StreamResponse:
    """`POST /generate/sync`: the result, or 202 when it takes longer than WORKER_SYNC_LIMIT."""
    return await SYNC.answer(request, services(request), await accept(request, SYNC))


async def generate(request: web.Request) -> web.StreamResponse:
    """`POST /generate`: 202 at once, with the token that opens the result."""
    return await ASYNC.answer(request, services(request), await accept(request, ASYNC))


async def generate_stream(request: web.Request) -> web.StreamResponse:
    """`POST /generate/stream`: every event as it happens, the last one is the result."""
    return await STREAM.answer(request, services(request), await accept(request, STREAM))


async def accept(request: web.Request, way: Way) -> Job:
    """Let the caller in, and only then read what it sends."""
    found = services(request)
    principal = found.access.enter(request.headers.get(hdrs.AUTHORIZATION, ""))
    async with received(request) as (body, files):
        return await found.intake.submit(body, caller_of(request, principal, collectable=way.collectable), files)


async def result_of(request: web.Request, found: Services, job: Job) -> web.StreamResponse:
    """Wait for the job, but not longer than WORKER_SYNC_LIMIT."""
    async with found.manager.waiting(job):
        try:
            async with asyncio.timeout(found.sync_limit_s):
                await found.manager.ended(job)
        except TimeoutError:
            await found.manager.detach(job)
    return await job_response(request, found, job)


async def _later(request: web.Request, found: Services, job: Job) -> web.StreamResponse:
    job.detached = True
    return pending_response(request, found, job)


SYNC = Way(collectable=False, answer=result_of)
ASYNC = Way(collectable=True, answer=_later)
STREAM = Way(collectable=True, answer=stream_events)
WAYS = {"/generate/sync": SYNC, "/generate": ASYNC, "/generate/stream": STREAM}
"""By path, for a platform that receives the request itself."""
