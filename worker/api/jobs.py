"""Routes for an accepted job: state, outputs, events, cancellation and delivery.

All require the token of the job or its caller.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from worker.api.edge.authorization import authorization_of
from worker.api.edge.prefer import preferred_wait_s
from worker.api.generate import wait_for_result, wait_or_detach
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
    """Handle `GET /jobs/{id}`: return the result or the error, or 202 with the state of a job that has not ended.

    With `Prefer: wait=SECONDS`, wait for the end of the job, at most for this time and WORKER_SYNC_LIMIT.
    """
    services, job = services_of(request), _job(request)
    wait_s = preferred_wait_s(request)
    if wait_s and not job.state.ended:
        await wait_or_detach(services, job, wait_s)
    return await job_response(request, services, job)


async def get_stock_result(request: web.Request) -> web.StreamResponse:
    """Handle `GET /result/{id}`: return the result, the error or 202, in the dialect of Vast's stock template."""
    return await job_response(request, services_of(request), _job(request), VAST)


async def get_events(request: web.Request) -> web.StreamResponse:
    """Handle `GET /jobs/{id}/events`: stream the past and future events of a job.

    With `Last-Event-ID` the stream starts after that event.
    """
    return await stream_events(request, services_of(request), _job(request))


async def cancel_job(request: web.Request) -> web.Response:
    """Handle `DELETE /jobs/{id}` and `POST /cancel/{id}`: cancel a job. Returns 202 if a node does not stop in time."""
    job, services = _job(request), services_of(request)
    outcome = await cancel(services.manager, services.engines, job, services.settings.engine.node_stop_s)
    body: dict[str, object] = {"id": job.id, "cancelled": outcome.cancelled, "status": job.state.value}
    if outcome.stopping:
        return json_response(body | {"stopping": True}, 202)
    return json_response(body)


async def deliver_job(request: web.Request) -> web.StreamResponse:
    """Handle `POST /jobs/{id}/deliver`: deliver a kept result again, with the target in the body if there is one."""
    job, services = _job(request), services_of(request)
    services.access.count_request(job.principal)
    body = await read_small_object(request)
    options = read_delivery_request(body) if body is not None else None
    new_options = services.intake.with_output_mode(options) if options else None
    services.manager.deliver(job, new_options)
    return await wait_for_result(request, services, job)


async def get_output(request: web.Request) -> web.StreamResponse:
    """Handle `GET /jobs/{id}/outputs/{n}`: stream a file from disk, with range requests, or return a text."""
    job = _job(request)
    index = request.match_info["n"]
    output = next((candidate for candidate in job.outputs if str(candidate.index) == index), None)
    if output is None:
        raise NotFound(f"job {job.id!r} has no output {index!r}")
    if output.text is not None:
        return web.Response(text=output.text, headers=file_headers(output, "text/plain; charset=utf-8"))
    path = services_of(request).outputs.path(job, output)
    if not await asyncio.to_thread(path.is_file):
        raise NotFound(f"output {index!r} of job {job.id!r} no longer exists")
    return web.FileResponse(path, headers=file_headers(output, output.mime))


async def queue_info(request: web.Request) -> web.Response:
    """Handle `GET /queue-info`: return the sizes of the stock template's three queues."""
    services_of(request).access.authenticate(authorization_of(request))
    states = services_of(request).manager.states()
    return json_response(
        {
            "preprocess_queue_size": states[JobState.QUEUED] + states[JobState.PREPARING],
            "generation_queue_size": states[JobState.WAITING] + states[JobState.GENERATING],
            "postprocess_queue_size": states[JobState.DELIVERING],
        }
    )


def _job(request: web.Request) -> Job:
    """Return the job whose id is in the path of a request.

    The request needs the token of the job, as bearer token or as `?token=`, or the operator's token that started the
    job. Raises NotFound for all other callers.
    """
    services, job_id = services_of(request), request.match_info["id"]
    authorization = authorization_of(request)
    # If the operator has set no tokens, all callers have the same name, so only the token of the job counts.
    principal = services.access.principal(authorization) if services.access.tokens else None
    if principal is not None:
        return services.manager.find_owned(job_id, principal)
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        token = request.query.get("token", "")
    job = services.manager.find(job_id, token.strip())
    mark_authenticated(request)
    return job
