"""The ways to ask for work: wait for it, come back for it, or watch it."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from worker.api.request_body import read_job
from worker.api.responses import job_response, pending_response
from worker.api.services import services
from worker.api.sse import stream_events
from worker.api.submission import begin
from worker.job import Job


async def generate_sync(request: web.Request) -> web.Response:
    """`POST /generate/sync`: the result, or 202 when it takes longer than WORKER_SYNC_LIMIT."""
    return await result_of(request, await accept(request))


async def result_of(request: web.Request, job: Job) -> web.Response:
    """Wait for it, but not longer than WORKER_SYNC_LIMIT."""
    found = services(request)
    async with found.manager.waiting(job):
        try:
            async with asyncio.timeout(found.sync_limit_s):
                await found.manager.ended(job)
        except TimeoutError:
            await found.manager.detach(job)
    return await job_response(request, job)


async def generate(request: web.Request) -> web.Response:
    """`POST /generate`: 202 at once, with the token that opens the result."""
    job = await accept(request, collectable=True)
    job.detached = True
    return pending_response(request, job)


async def generate_stream(request: web.Request) -> web.StreamResponse:
    """`POST /generate/stream`: every event as it happens, the last one is the result."""
    job = await accept(request, collectable=True)
    return await stream_events(request, job)


async def accept(request: web.Request, *, collectable: bool = False) -> Job:
    """`collectable`: the client is about to be told id and token."""
    found = services(request)
    principal = found.access.enter(request.headers.get(hdrs.AUTHORIZATION, ""))
    return await begin(found, await read_job(request), principal, collectable=collectable)
