"""Routes for a job: its state or result, its events, its outputs, and its cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import web

from worker.api.edge.prefer import preferred_wait_s
from worker.api.services import json_response
from worker.errors import BackendError, CannotCancel
from worker.proxy.routes.responses import send_events, send_file, send_pending, send_result
from worker.proxy.services import caller_of, job_of, proxy_of


async def get_job(request: web.Request) -> web.StreamResponse:
    """Handle `GET /jobs/{id}`: return the result or the error, or 202 with the state of a job that has not ended.

    With `Prefer: wait=SECONDS`, wait for the end of the job, at most for this time.
    """
    job = job_of(request)
    with suppress(TimeoutError):
        async with asyncio.timeout(preferred_wait_s(request) or 0):
            await job.ended.wait()
    return await send_result(request, job) if job.ended.is_set() else await send_pending(request, job)


async def cancel_job(request: web.Request) -> web.Response:
    """Handle `DELETE /jobs/{id}` and `POST /cancel/{id}`: cancel a job. Returns 202 if a node does not stop in time.

    Raises CannotCancel if the backend does not cancel the job.
    """
    job = job_of(request)
    try:
        cancellation = await proxy_of(request).jobs.cancel(job)
    except BackendError as error:
        raise CannotCancel(f"the job {job.id!r} goes on: {error}") from error
    status = "cancelled" if cancellation.cancelled else "ended"
    body: dict[str, object] = {"id": job.id, "cancelled": cancellation.cancelled, "status": status}
    if cancellation.stopping:
        return json_response(body | {"stopping": True}, 202)
    return json_response(body)


async def get_events(request: web.Request) -> web.StreamResponse:
    """Handle `GET /jobs/{id}/events`: stream the events of a job. With `Last-Event-ID`, start after that event."""
    return await send_events(request, job_of(request))


async def get_output(request: web.Request) -> web.StreamResponse:
    """Handle `GET /jobs/{id}/outputs/{n}`: return an output file, with support of ranges."""
    job = job_of(request)
    return await send_file(job, await proxy_of(request).outputs.output(job, request.match_info["n"]))


async def queue_info(request: web.Request) -> web.Response:
    """Handle `GET /queue-info`: return the sizes of the queues in the form of Vast's stock template."""
    caller_of(request)
    jobs = proxy_of(request).jobs
    waiting = jobs.waiting_for_backend
    return json_response(
        {
            "preprocess_queue_size": waiting,
            "generation_queue_size": jobs.open_jobs - waiting,
            "postprocess_queue_size": 0,
        }
    )
