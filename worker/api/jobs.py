"""A job after it was accepted: its state, its outputs, its events, its end. Everything needs the job's token."""

from __future__ import annotations

import asyncio

from aiohttp import hdrs, web

from worker.api.generate import wait_for_result
from worker.api.request_body import read_small_object
from worker.api.responses import file_headers, job_response
from worker.api.services import json_response, services_of
from worker.api.sse import stream_events
from worker.connections import mark_authenticated
from worker.dialects import VAST
from worker.dialects.native import read_delivery_request
from worker.errors import NotFound
from worker.job import Job, JobState
from worker.jobs.cancellation import cancel


async def get_job(request: web.Request) -> web.StreamResponse:
    """`GET /jobs/{id}`: the result, the error, or 202 with the state."""
    return await job_response(request, services_of(request), _job(request))


async def get_stock_result(request: web.Request) -> web.StreamResponse:
    """`GET /result/{id}`: the same in the stock template's shape."""
    return await job_response(request, services_of(request), _job(request), VAST)


async def get_events(request: web.Request) -> web.StreamResponse:
    """`GET /jobs/{id}/events`: what happened and happens to the job; goes on after Last-Event-ID."""
    return await stream_events(request, services_of(request), _job(request))


async def cancel_job(request: web.Request) -> web.Response:
    """`DELETE /jobs/{id}` and `POST /cancel/{id}`: answers once ComfyUI is free of the job, or 202."""
    job, found = _job(request), services_of(request)
    outcome = await cancel(found.manager, found.engines, job, found.settings.engine.node_stop_s)
    answer: dict[str, object] = {"id": job.id, "cancelled": outcome.cancelled, "status": job.state.value}
    return json_response(answer | {"stopping": True}, 202) if outcome.stopping else json_response(answer)


async def deliver_job(request: web.Request) -> web.StreamResponse:
    """`POST /jobs/{id}/deliver`: deliver a kept result again, elsewhere or with other keys if the body says so."""
    job, found = _job(request), services_of(request)
    found.access.count_request(job.principal)
    body = await read_small_object(request)
    wish = read_delivery_request(body) if body is not None else None
    found.manager.deliver(job, found.intake.reachable(wish) if wish else None)
    return await wait_for_result(request, found, job)


async def get_output(request: web.Request) -> web.StreamResponse:
    """`GET /jobs/{id}/outputs/{n}`: streamed from disk, with ranges."""
    job = _job(request)
    index = request.match_info["n"]
    output = next((found for found in job.outputs if str(found.index) == index), None)
    if output is None:
        raise NotFound(f"job {job.id!r} has no output {index!r}")
    if output.text is not None:
        return web.Response(text=output.text, headers=file_headers(output, "text/plain; charset=utf-8"))
    path = services_of(request).outputs.path(job, output)
    if not await asyncio.to_thread(path.is_file):
        raise NotFound(f"output {index!r} of job {job.id!r} is gone")
    return web.FileResponse(path, headers=file_headers(output, output.mime))


async def queue_info(request: web.Request) -> web.Response:
    """`GET /queue-info`: the stock template's three queues."""
    services_of(request).access.authenticate(request.headers.get(hdrs.AUTHORIZATION, ""))
    states = services_of(request).manager.states()
    return json_response(
        {
            "preprocess_queue_size": states[JobState.QUEUED] + states[JobState.PREPARING],
            "generation_queue_size": states[JobState.WAITING] + states[JobState.GENERATING],
            "postprocess_queue_size": states[JobState.DELIVERING],
        }
    )


def _job(request: web.Request) -> Job:
    """The job's own token opens it, as a bearer's or as `?token=`, and so does the operator's token it was asked with.

    Raises NotFound for everybody else.
    """
    found, job_id = services_of(request), request.match_info["id"]
    authorization = request.headers.get(hdrs.AUTHORIZATION, "")
    principal = found.access.principal(authorization) if found.access.tokens else None
    if principal is not None:
        return found.manager.find_owned(job_id, principal)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        token = request.query.get("token", "")
    job = found.manager.find(job_id, token.strip())
    mark_authenticated(request)
    return job
