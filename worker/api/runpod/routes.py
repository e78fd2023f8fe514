"""RunPod's routes for jobs, so that its clients use a worker as they use an endpoint.

The paths are those of RunPod's API, with and without `/v2/{endpoint}` before them. worker-comfyui's local server runs a
job of `/run` only when `/status` is requested, and forgets it then. Here, a job starts at once and is kept.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from dataclasses import replace
from http import HTTPStatus

from aiohttp import web

from worker.api import jobs
from worker.api.edge.authorization import authorization_of
from worker.api.errors import DIALECT, error_response
from worker.api.generate import submit, wait_or_detach
from worker.api.request_body import caller_of, receive_body
from worker.api.responses import send
from worker.api.services import Services, base_url, json_response, services_of
from worker.connections import mark_authenticated
from worker.dialects import RUNPOD
from worker.dialects.runpod_result import STATES_BEFORE_RUN, status_object, status_text
from worker.errors import ClientError, InvalidField, NotFound, WorkerError
from worker.intake import ResponseBody
from worker.intake.enclosed_request import (
    enclosed_dialect,
    enclosed_error,
    enclosed_failure,
    enclosed_result,
    unwrap_request,
)
from worker.job import Job, JobState
from worker.jobs.cancellation import cancel

JOB_ID = re.compile(r"(sync-)?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-u1")
"""Ids of jobs of these routes. The worker draws them, so knowing one proves that its client may see the job."""
MIN_WAIT_MS, MAX_WAIT_MS = 1000, 300_000
LONGEST_WAIT = 9
"""Digits of `?wait=`."""
ENCLOSED = web.RequestKey("enclosed", bool)
"""Whether the `input` of a request has a whole request."""
REJECTED = frozenset({400, 404, 409, 422})
"""Statuses of errors that are a failed job at RunPod, because the worker finds them in the input of the job."""


async def run(request: web.Request) -> web.Response:
    """Handle `POST /run`: start a job, and return its id."""
    job = await _start(request, new_id())
    job.detached = True
    return json_response({"id": job.id, "status": "IN_QUEUE"})


async def run_sync(request: web.Request) -> web.StreamResponse:
    """Handle `POST /runsync`: start a job, wait for its end, and return it with its output.

    `?wait=` limits the wait in milliseconds. After that, and after WORKER_SYNC_LIMIT, the job goes on, and the response
    has its id. An input that cannot run is a job that has failed, as at RunPod.
    """
    services, limit_s, job_id = services_of(request), wait_s(request), new_id("sync-")
    try:
        job = await _start(request, job_id)
    except ClientError as error:
        if error.status not in REJECTED:
            raise
        return _rejected(request, services, job_id, error)
    await wait_or_detach(services, job, limit_s)
    return await _status(request, services, job)


async def get_status(request: web.Request) -> web.StreamResponse:
    """Handle `GET` and `POST /status/{id}`: return the status of a job, and its output or error once it has ended."""
    return await _status(request, services_of(request), _job(request))


async def get_status_sync(request: web.Request) -> web.StreamResponse:
    """Handle `GET /status-sync/{id}`: return the same once the job has ended, or after the query's wait."""
    services, job, limit_s = services_of(request), _job(request), wait_s(request)
    if not job.state.ended:
        await wait_or_detach(services, job, limit_s)
    return await _status(request, services, job)


async def get_stream(request: web.Request) -> web.Response:
    """Handle `GET` and `POST /stream/{id}`: return the status of a job. No job has partial outputs."""
    return json_response({"status": status_text(_job(request)), "stream": []})


async def cancel_job(request: web.Request) -> web.StreamResponse:
    """Handle `POST /cancel/{id}`: cancel a job, in RunPod's form or that of the stock template, by the job's id."""
    if not JOB_ID.fullmatch(request.match_info["id"]):
        return await jobs.cancel_job(request)
    job, services = _job(request), services_of(request)
    await cancel(services.manager, services.engines, job, services.settings.engine.node_stop_s)
    return json_response({"id": job.id, "status": status_text(job)})


async def purge_queue(request: web.Request) -> web.Response:
    """Handle `POST /purge-queue`: cancel the caller's jobs of these routes that do not run yet."""
    services, principal = services_of(request), _principal(request)
    queued = [
        job
        for job in services.manager.job_index.of_principal(principal)
        if job.state in STATES_BEFORE_RUN and JOB_ID.fullmatch(job.id)
    ]
    cancelled = await asyncio.gather(*(services.manager.cancel(job) for job in queued))
    return json_response({"removed": sum(cancelled), "status": "completed"})


async def get_health(request: web.Request) -> web.Response:
    """Handle `GET /v2/{endpoint}/health`: return the numbers of jobs and workers. This worker is the only one."""
    services = services_of(request)
    _principal(request)
    states = services.manager.states()
    failed, running = services.permanent_failure() is not None, states[JobState.GENERATING] > 0
    ready = services.engines.connected and not failed
    workers = {
        "idle": int(ready and not running),
        "initializing": int(not ready and not failed),
        "ready": int(ready),
        "running": int(ready and running),
        "throttled": 0,
        "unhealthy": int(failed),
    }
    counts = {
        "completed": states[JobState.COMPLETED],
        "failed": states[JobState.FAILED] + states[JobState.DELIVERY_PENDING],
        "inProgress": states[JobState.GENERATING] + states[JobState.DELIVERING],
        "inQueue": sum(states[state] for state in STATES_BEFORE_RUN),
        "retried": 0,
    }
    return json_response({"jobs": counts, "workers": workers})


def new_id(prefix: str = "") -> str:
    """Return a new job id in RunPod's form. `prefix` is `sync-` for a job that a client waits for."""
    return f"{prefix}{uuid.uuid4()}-u1"


async def _start(request: web.Request, job_id: str) -> Job:
    """Authenticate the caller, read the body, and start its job under this id."""
    request[DIALECT] = RUNPOD
    services = services_of(request)
    principal = _principal(request)
    services.access.count_request(principal)
    async with receive_body(request) as (body, files):
        caller = caller_of(request, principal, collectable=not job_id.startswith("sync-"))
        if (enclosed_caller := await unwrap_request(body, caller)) is not None:
            caller, request[DIALECT] = enclosed_caller, enclosed_dialect(body)
            request[ENCLOSED] = True
        job = await submit(request, body, replace(caller, idempotency_key=None, repeat_key=job_id), files)
    mark_authenticated(request)
    return job


def _principal(request: web.Request) -> str:
    """Return the name of the caller."""
    return services_of(request).access.authenticate(runpod_authorization(request))


def runpod_authorization(request: web.Request) -> str:
    """Return the header `Authorization` with a scheme. Like RunPod's API, these routes also take a bare key."""
    authorization = authorization_of(request).strip()
    is_bare = bool(authorization) and " " not in authorization
    return f"Bearer {authorization}" if is_bare else authorization


def _job(request: web.Request) -> Job:
    """Return the job whose id is in the path. Raises NotFound for the job of another caller, too.

    All callers have the same name if the operator has set no tokens. Then only an id that the worker has drawn counts.
    """
    services, job_id = services_of(request), request.match_info["id"]
    principal = _principal(request)
    if not services.access.tokens and not JOB_ID.fullmatch(job_id):
        raise NotFound(f"no job {job_id[:200]!r}: the id is that of the response of /run")
    job = services.manager.find_owned(job_id, principal)
    mark_authenticated(request)
    return job


def wait_s(request: web.Request) -> float | None:
    """Return the seconds in `?wait=`, which has milliseconds, or None without it. Raises InvalidField."""
    text = request.query.get("wait")
    if text is None:
        return None
    is_number = text.isascii() and text.isdigit() and len(text) <= LONGEST_WAIT
    if not is_number or not MIN_WAIT_MS <= int(text) <= MAX_WAIT_MS:
        raise InvalidField(f"the query parameter wait={text[:80]!r} is not a number of {MIN_WAIT_MS} to {MAX_WAIT_MS}")
    return int(text) / 1000


async def _status(request: web.Request, services: Services, job: Job) -> web.StreamResponse:
    """Send the status object of a job, with its output if it has ended."""
    if not job.state.ended:
        return json_response({"id": job.id, "status": status_text(job)})
    responses = services.intake.responses
    if job.request.with_status:
        http_status, body = await responses.of(job, base_url(request, services))
        if http_status != HTTPStatus.OK:
            failure = enclosed_failure(http_status, body.value)
            return json_response(status_object(job, failure, has_failed=True))
        body = enclosed_result(job, body)
        return await send(request, 200, ResponseBody(status_object(job, body.value), body.files))
    if job.request.handler is not None and job.error is None:
        result = await responses.handler_result(job)
        return await send(request, 200, ResponseBody(status_object(job, result.value["result"])))
    http_status, body = await responses.of(job, base_url(request, services), RUNPOD)
    value = status_object(job, body.value, has_failed=http_status >= 400)
    return await send(request, 200, ResponseBody(value, body.files))


def _rejected(request: web.Request, services: Services, job_id: str, error: WorkerError) -> web.Response:
    """Return the status object of a job that was not started, because its input cannot run."""
    error_response(request, services, error)  # counts it
    body = RUNPOD.failed(job_id, error)
    if request.get(ENCLOSED):
        body = enclosed_error(job_id, error, request[DIALECT])
    return json_response({"id": job_id, "status": "FAILED", "error": body.pop("error"), "output": body})


def _routes(prefix: str) -> tuple[web.RouteDef, ...]:
    """Return the routes with a prefix of their paths."""
    return (
        web.post(f"{prefix}/run", run),
        web.post(f"{prefix}/runsync", run_sync),
        web.get(f"{prefix}/status/{{id}}", get_status),
        web.post(f"{prefix}/status/{{id}}", get_status),
        web.get(f"{prefix}/status-sync/{{id}}", get_status_sync),
        web.get(f"{prefix}/stream/{{id}}", get_stream),
        web.post(f"{prefix}/stream/{{id}}", get_stream),
        web.post(f"{prefix}/cancel/{{id}}", cancel_job),
        web.post(f"{prefix}/purge-queue", purge_queue),
    )


ROUTES = _routes("")
ENDPOINT_ROUTES = (*_routes("/v2/{endpoint}"), web.get("/v2/{endpoint}/health", get_health))
"""The same below the path of an endpoint, for clients whose base URL is that of the worker."""
