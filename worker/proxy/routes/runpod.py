"""RunPod's routes in front of any backends, so that its clients use the proxy as they use an endpoint.

The paths are those of RunPod's API, with and without `/v2/{endpoint}` before them. The endpoint may have any name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import orjson
from aiohttp import hdrs, web

from worker.api.errors import DIALECT, STREAMING
from worker.api.runpod.routes import JOB_ID, REJECTED, new_id, runpod_authorization, wait_s
from worker.api.services import json_response
from worker.backends.base import JSON, RemoteState
from worker.connections import mark_authenticated
from worker.dialects import RUNPOD
from worker.dialects.runpod import check_form
from worker.errors import BackendError, CannotCancel, ClientError, NotFound
from worker.proxy.callers import ProxyCaller
from worker.proxy.job import ProxyJob, RemoteResult
from worker.proxy.requests import receive
from worker.proxy.routes import jobs
from worker.proxy.routes.errors import error_response
from worker.proxy.routes.generate import JobKind, accepted_or_error, admit, start
from worker.proxy.routes.responses import pieces_of
from worker.proxy.services import proxy_of

TEXTS = {
    RemoteState.QUEUED: "IN_QUEUE",
    RemoteState.RUNNING: "IN_PROGRESS",
    RemoteState.SUCCEEDED: "COMPLETED",
    RemoteState.FAILED: "FAILED",
    RemoteState.CANCELLED: "CANCELLED",
}
CANCELLED = 499
ERROR_TEXTS = {"timeout": "TIMED_OUT", "cancelled": "CANCELLED"}
"""RunPod's word for an error, by its code. All others are FAILED."""


async def run(request: web.Request) -> web.StreamResponse:
    """Handle `POST /run`: start a job, and return its id, or an HTTP error if no backend takes the job."""
    job = await _start(request, new_id())
    return await accepted_or_error(request, job) or json_response({"id": job.id, "status": "IN_QUEUE"})


async def run_sync(request: web.Request) -> web.StreamResponse:
    """Handle `POST /runsync`: start a job, wait for its end, and return it with its output.

    `?wait=` limits the wait in milliseconds. After that, and after the server's `sync_limit_s`, the job goes on, and
    the response has its id. An input that cannot run is a job that has failed, as at RunPod.
    """
    limit_s, job_id = wait_s(request), new_id("sync-")
    try:
        job = await _start(request, job_id)
    except ClientError as error:
        if error.status not in REJECTED:
            raise
        error_response(request, error)  # counts it
        body = RUNPOD.failed(job_id, error)
        return json_response({"id": job_id, "status": "FAILED", "error": body.pop("error"), "output": body})
    await _wait(request, job, limit_s)
    return await _status(request, job)


async def get_status(request: web.Request) -> web.StreamResponse:
    """Handle `GET` and `POST /status/{id}`: return the status of a job, and its output or error once it has ended."""
    return await _status(request, _job(request))


async def get_status_sync(request: web.Request) -> web.StreamResponse:
    """Handle `GET /status-sync/{id}`: return the same once the job has ended, or after the query's wait."""
    job = _job(request)
    await _wait(request, job, wait_s(request))
    return await _status(request, job)


async def get_stream(request: web.Request) -> web.Response:
    """Handle `GET` and `POST /stream/{id}`: return the status of a job. No job has partial outputs."""
    return json_response({"status": await _text(request, _job(request)), "stream": []})


async def cancel_job(request: web.Request) -> web.StreamResponse:
    """Handle `POST /cancel/{id}`: cancel a job, in RunPod's form or that of the stock template, by the job's id.

    Raises CannotCancel if the backend does not cancel the job.
    """
    if not JOB_ID.fullmatch(request.match_info["id"]):
        return await jobs.cancel_job(request)
    job = _job(request)
    try:
        cancellation = await proxy_of(request).jobs.cancel(job)
    except BackendError as error:
        raise CannotCancel(f"the job {job.id!r} goes on: {error}") from error
    text = "CANCELLED" if cancellation.cancelled else await _text(request, job)
    return json_response({"id": job.id, "status": text})


async def purge_queue(request: web.Request) -> web.Response:
    """Handle `POST /purge-queue`: cancel the caller's jobs of these routes that do not run yet."""
    services, caller = proxy_of(request), _caller(request)
    own = [job for job in services.jobs.index.open_of(caller.name) if JOB_ID.fullmatch(job.id)]
    removed = await asyncio.gather(*(_remove_if_queued(request, job) for job in own))
    return json_response({"removed": sum(removed), "status": "completed"})


async def get_health(request: web.Request) -> web.Response:
    """Handle `GET /v2/{endpoint}/health`: return the numbers of jobs and workers of the backends of the caller.

    The numbers of ended jobs are those of the proxy. A backend that does not report its workers counts as one.
    """
    services, caller = proxy_of(request), _caller(request)
    slots = [slot for slot in services.slots.values() if caller.may_use(slot.name)]
    loads = [slot.load for slot in slots if slot.load is not None and not slot.problem]
    queued, running = sum(load.queued for load in loads), sum(load.running for load in loads)
    ready = sum(1 if load.workers is None else load.workers for load in loads)
    ready += sum(slot.load is None and not slot.problem for slot in slots)
    statuses = [job.result.status for job in services.jobs.index if job.result is not None]
    workers = {
        "idle": max(0, ready - running),
        "initializing": 0,
        "ready": ready,
        "running": min(ready, running),
        "throttled": 0,
        "unhealthy": sum(bool(slot.problem) for slot in slots),
    }
    counts = {
        "completed": sum(status < 400 for status in statuses),
        "failed": sum(status >= 400 and status != CANCELLED for status in statuses),
        "inProgress": running,
        "inQueue": queued + services.jobs.waiting_for_backend,
        "retried": 0,
    }
    return json_response({"jobs": counts, "workers": workers})


async def _start(request: web.Request, job_id: str) -> ProxyJob:
    """Admit the caller, read the body, and start its job under this id. Raises ClientError or a subclass."""
    request[DIALECT] = RUNPOD
    services = proxy_of(request)
    caller = admit(request, _caller(request))
    received = await receive(request, services.spool, services.limits, _check_form)
    # RunPod has no keys of this kind: each request is a new job.
    received = replace(received, own_id="", facts=replace(received.facts, dialect=RUNPOD.name))
    return start(request, caller, received, JobKind(collectable=True, job_id=job_id))


def _check_form(body: Mapping[str, Any]) -> None:
    """Raise InvalidField or InvalidJson for a body that has neither a workflow nor the name of a handler."""
    fields = body.get("input")
    if not isinstance(fields, Mapping) or "handler" not in fields:
        check_form(body)


def _caller(request: web.Request) -> ProxyCaller:
    """Return the caller of a request. Like RunPod's API, these routes also take a bare key. Raises Unauthorized."""
    return proxy_of(request).callers.authenticate(runpod_authorization(request))


def _job(request: web.Request) -> ProxyJob:
    """Return the job whose id is in the path. Raises NotFound for the job of another caller, too.

    Without keys, all callers have the same name. Then only an id that the proxy has drawn counts.
    """
    request[DIALECT] = RUNPOD
    job_id, caller = request.match_info["id"], _caller(request)
    if not JOB_ID.fullmatch(job_id):
        raise NotFound(f"no job {job_id[:200]!r}: the id is that of the response of /run")
    job = proxy_of(request).jobs.index.find(job_id, caller=caller.name)
    mark_authenticated(request)
    return job


async def _wait(request: web.Request, job: ProxyJob, limit_s: float | None) -> None:
    """Wait for the end of a job, at most this time or the server's limit."""
    services = proxy_of(request)
    async with services.jobs.waiting(job):
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s or services.server.sync_limit_s or None):
                await job.ended.wait()


async def _remove_if_queued(request: web.Request, job: ProxyJob) -> bool:
    """Cancel a job unless it runs. Return whether that succeeded."""
    if await _text(request, job) != TEXTS[RemoteState.QUEUED]:
        return False
    try:
        return (await proxy_of(request).jobs.cancel(job)).cancelled
    except BackendError:
        return False


async def _text(request: web.Request, job: ProxyJob) -> str:
    """Return RunPod's word for the state of a job. It is that for a queued job while the backend does not respond."""
    if job.result is not None:
        return TEXTS[RemoteState.SUCCEEDED] if job.result.status < 400 else _end_text(await _failure(job.result))
    status = await proxy_of(request).jobs.status(job)
    # The result of a job that has just ended may not be here yet.
    is_running = status is not None and status.state is not RemoteState.QUEUED
    return TEXTS[RemoteState.RUNNING] if is_running else TEXTS[RemoteState.QUEUED]


def _end_text(failure: Mapping[str, Any]) -> str:
    """Return RunPod's word for the end of a job that has failed."""
    error_info = (failure["output"] or {}).get("error_info", {})
    return ERROR_TEXTS.get(error_info.get("code", ""), TEXTS[RemoteState.FAILED])


async def _status(request: web.Request, job: ProxyJob) -> web.StreamResponse:
    """Send the status object of a job, with its output if it has ended."""
    result = job.result
    if result is None:
        return json_response({"id": job.id, "status": await _text(request, job)})
    if result.status >= 400:
        failure = await _failure(result)
        return json_response({"id": job.id, "status": _end_text(failure), **_times(job), **failure})
    head = {"id": job.id, "status": TEXTS[RemoteState.SUCCEEDED], **_times(job)}
    before = orjson.dumps(head)[:-1] + b',"output":'
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: JSON})
    response.content_length = len(before) + result.size + 1
    with suppress(ConnectionResetError):  # the client disconnected
        await response.prepare(request)
        request[STREAMING] = True
        await response.write(before)
        async for piece in pieces_of(result):
            await response.write(piece)
        await response.write(b"}")
        await response.write_eof()
    return response


def _times(job: ProxyJob) -> dict[str, int]:
    """Return milliseconds until a backend has accepted a job, and from then to its end, as far as they are known."""
    if job.accepted_at is None or job.ended_at is None:
        return {}
    return {
        "delayTime": round((job.accepted_at - job.created_at) * 1000),
        "executionTime": round((job.ended_at - job.accepted_at) * 1000),
    }


async def _failure(result: RemoteResult) -> dict[str, Any]:
    """Return text and rest of an error, as RunPod stores what a worker returns. The body may be in any dialect."""
    body = b"".join([piece async for piece in pieces_of(result)])
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        return {"error": body.decode(errors="replace"), "output": None}
    error = value.pop("error", "")
    if isinstance(error, dict):  # an error in the native form
        return {"error": str(error.get("message", "")), "output": {"error_info": error, **value}}
    return {"error": error, "output": value}


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
"""The same below the path of an endpoint, for clients whose base URL is that of the proxy."""
