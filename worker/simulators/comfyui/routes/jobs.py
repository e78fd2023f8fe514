"""Routes for prompts as jobs: GET /api/jobs, and cancellation with its result."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from aiohttp import web

from worker.simulators.comfyui.engine import ENGINE, EmbeddedEngine
from worker.simulators.comfyui.execution.jobs import EmbeddedJob, JobStatus, NoWorkflowId, finished_job, sorted_jobs
from worker.simulators.comfyui.server.responses import ServerFailure, fail_request, json_body, json_response


class InvalidQuery(Exception):
    """A query parameter is invalid. The text is the `error` of the response."""


@dataclass(frozen=True, slots=True)
class JobsQuery:
    """The query of GET /api/jobs."""

    statuses: frozenset[JobStatus]
    workflow_id: str | None
    sort_by: str
    descending: bool
    limit: int | None
    offset: int


def routes() -> list[web.RouteDef]:
    """Return the routes, which exist only below /api."""
    return [
        web.get("/api/jobs", list_jobs),
        web.get("/api/jobs/{job_id}", get_job),
        web.post("/api/jobs/cancel", cancel_jobs),
        web.post("/api/jobs/{job_id}/cancel", cancel_job),
    ]


async def list_jobs(request: web.Request) -> web.Response:
    """Return one page of the jobs that match the query."""
    try:
        query = _read_query(request)
    except InvalidQuery as error:
        return json_response({"error": str(error)}, status=400)
    jobs = [job for job in _all_jobs(request.app[ENGINE]) if job.status in query.statuses]
    try:
        if query.workflow_id is not None:
            jobs = [job for job in jobs if job.workflow_id == query.workflow_id]
        jobs = sorted_jobs(jobs, query.sort_by, descending=query.descending)
        stop = None if query.limit is None else query.offset + query.limit
        page = [job.summary() for job in jobs[query.offset : stop]]
    except NoWorkflowId:
        fail_request("extra_pnginfo is not an object")
    has_more = query.offset + len(page) < len(jobs)
    pagination = {"offset": query.offset, "limit": query.limit, "total": len(jobs), "has_more": has_more}
    return json_response({"jobs": page, "pagination": pagination})


async def get_job(request: web.Request) -> web.Response:
    """Return one job with its outputs, or 404."""
    job_id = request.match_info["job_id"]
    engine = request.app[ENGINE]
    job = next((job for job in _unfinished(engine) if job.item.prompt_id == job_id), None)
    entry = engine.history.get(job_id)
    if job is None and entry is not None:
        job = finished_job(entry)
    if job is None:
        return json_response({"error": "Job not found"}, status=404)
    try:
        return json_response(job.detail())
    except NoWorkflowId:
        fail_request("extra_pnginfo is not an object")


async def cancel_job(request: web.Request) -> web.Response:
    """Remove a pending job from the queue, or interrupt it when it runs. The response says whether it was found."""
    return json_response({"cancelled": _cancel(request.app[ENGINE], request.match_info["job_id"])})


async def cancel_jobs(request: web.Request) -> web.Response:
    """Cancel the jobs `job_ids`. The response says whether any of them was found."""
    try:
        body = await json_body(request)
    except ServerFailure:
        return json_response({"error": "Request body must be valid JSON"}, status=400)
    ids = body.get("job_ids") if isinstance(body, dict) else None
    if not isinstance(ids, list):
        return json_response({"error": "job_ids must be a list"}, status=400)
    invalid = [str(job_id) for job_id in ids if not _is_uuid(job_id)]
    if invalid:
        return json_response({"error": "job_ids contains invalid id(s)", "invalid_ids": invalid}, status=400)
    cancelled = [_cancel(request.app[ENGINE], job_id) for job_id in ids]
    return json_response({"cancelled": any(cancelled)})


def _cancel(engine: EmbeddedEngine, job_id: str) -> bool:
    """Interrupt or dequeue a job, and return whether it was found."""
    return engine.queue.if_running(job_id, engine.executor.interrupt.set) or engine.queue.delete(job_id)


def _all_jobs(engine: EmbeddedEngine) -> list[EmbeddedJob]:
    """Return all jobs: running, pending and finished."""
    return [*_unfinished(engine), *(finished_job(entry) for entry in engine.history.window().values())]


def _unfinished(engine: EmbeddedEngine) -> list[EmbeddedJob]:
    """Return the running and pending jobs."""
    running, pending = engine.queue.snapshot()
    return [
        *(EmbeddedJob(item, JobStatus.IN_PROGRESS) for item in running),
        *(EmbeddedJob(item, JobStatus.PENDING) for item in pending),
    ]


def _is_uuid(value: object) -> bool:
    """Return whether a value is a UUID in canonical form."""
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False


def _read_query(request: web.Request) -> JobsQuery:
    """Read the query parameters. Raises `InvalidQuery`."""
    sort_by = request.query.get("sort_by", "created_at")
    if sort_by not in ("created_at", "execution_duration"):
        raise InvalidQuery("sort_by must be 'created_at' or 'execution_duration'")
    order = request.query.get("sort_order", "desc")
    if order not in ("asc", "desc"):
        raise InvalidQuery("sort_order must be 'asc' or 'desc'")
    limit = _integer(request, "limit")
    if limit is not None and limit <= 0:
        raise InvalidQuery("limit must be a positive integer")
    offset = max(0, _integer(request, "offset") or 0)
    return JobsQuery(_statuses(request), request.query.get("workflow_id"), sort_by, order == "desc", limit, offset)


def _statuses(request: web.Request) -> frozenset[JobStatus]:
    """Return the statuses of the query, or all when it names none."""
    names = [name.strip().lower() for name in request.query.get("status", "").split(",") if name.strip()]
    valid_names = {status.value for status in JobStatus}
    unknown = [name for name in names if name not in valid_names]
    if unknown:
        valid = ", ".join(JobStatus)
        raise InvalidQuery(f"Invalid status value(s): {', '.join(unknown)}. Valid values: {valid}")
    return frozenset(JobStatus(name) for name in names) or frozenset(JobStatus)


def _integer(request: web.Request, name: str) -> int | None:
    """Return a query parameter as an integer, or None when it is missing. Raises `InvalidQuery`."""
    text = request.query.get(name)
    if text is None:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise InvalidQuery(f"{name} must be an integer") from error
