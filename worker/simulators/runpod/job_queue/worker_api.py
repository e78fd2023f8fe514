"""The calls of workers: job-take, job-take-batch, job-stop, job-done, job-stream and ping."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NoReturn

from aiohttp import web

from worker.simulators.runpod.endpoint_state import EndpointState
from worker.simulators.runpod.fault_config import FaultRule, RunpodFault
from worker.simulators.runpod.job_queue.endpoint_jobs import ResultOutcome
from worker.simulators.runpod.job_queue.records import RunpodJob

FAULT = web.RequestKey("fault", FaultRule)
TAKEN = web.RequestKey("taken", list[RunpodJob])
"""Jobs that a request has taken from the queue."""


class WorkerApi:
    """The routes of one endpoint. `stop_pod` is called with the id of a worker whose result has `stopPod`."""

    def __init__(self, state: EndpointState, stop_pod: Callable[[str], None]) -> None:
        self._state = state
        self._stop_pod = stop_pod

    @property
    def routes(self) -> list[web.RouteDef]:
        """The routes, of which each checks the worker's key."""
        prefix = "/v2/{endpoint}/"
        return [
            web.get(prefix + "job-take/{worker}", self._take),
            web.get(prefix + "job-take-batch/{worker}", self._take_batch),
            web.get(prefix + "job-stop/{worker}", self._stop),
            web.post(prefix + "job-done/{worker}/{job}", self._done),
            web.post(prefix + "job-stream/{worker}/{job}", self._stream),
            web.get(prefix + "ping/{worker}", self._ping),
        ]

    async def _take(self, request: web.Request) -> web.Response:
        """Return one job, or nothing when there is none in time."""
        jobs = await self._taken(request, 1)
        return web.json_response(self._taken_form(jobs[0])) if jobs else self._nothing()

    async def _take_batch(self, request: web.Request) -> web.Response:
        """Return up to `batch_size` jobs, or nothing when there is none in time."""
        jobs = await self._taken(request, max(1, _number(request, "batch_size")))
        return web.json_response([self._taken_form(job) for job in jobs]) if jobs else self._nothing()

    async def _taken(self, request: web.Request, count: int) -> list[RunpodJob]:
        """Wait for jobs and give them to the worker. Without a key it waits in vain."""
        state, worker_id = self._state, request.match_info["worker"]
        if "Authorization" not in request.headers and state.assumptions.take_without_key_status == 204:
            count = 0
        else:
            self._check_key(request)
        worker = state.workers.seen(worker_id, state.clock())
        worker.takes += 1
        worker.has_asked = True
        worker.open_takes += 1
        try:
            jobs = await state.changes.until(
                lambda: self._next_jobs(request, worker_id, count), state.assumptions.take_hold_s
            )
        finally:
            worker.open_takes -= 1
        request[TAKEN] = jobs
        if jobs:
            state.changes.notify()
        return jobs

    def _next_jobs(self, request: web.Request, worker_id: str, count: int) -> list[RunpodJob]:
        """Take jobs from the queue, if this worker may have some and is still connected."""
        state = self._state
        worker = state.workers.workers[worker_id]
        if worker.unhealthy and not state.assumptions.unhealthy_workers_get_jobs:
            return []
        if worker.is_stopping and not state.assumptions.stopping_workers_get_jobs:
            return []
        if request.transport is None or request.transport.is_closing():
            return []
        rule = request.get(FAULT)
        keep = rule is not None and rule.fault is RunpodFault.DUPLICATE
        return state.jobs.take(worker_id, count, state.clock(), keep=keep)

    async def _stop(self, request: web.Request) -> web.Response:
        """Return the ids of jobs that the worker has to stop, or nothing when there is none in time."""
        self._check_key(request)
        state, worker_id = self._state, request.match_info["worker"]
        state.workers.seen(worker_id, state.clock())
        job_ids = await state.changes.until(lambda: state.jobs.take_stops(worker_id), state.assumptions.stop_hold_s)
        return web.json_response({"jobsToStop": job_ids}) if job_ids else self._nothing()

    async def _done(self, request: web.Request) -> web.Response:
        """Store a result, or the progress of a job."""
        self._check_key(request)
        state = self._state
        worker_id, job_id = request.match_info["worker"], request.match_info["job"]
        data = await request.read()
        body = _json_object(data)
        if body.get("status") == "IN_PROGRESS":
            outcome = state.jobs.progress(job_id, worker_id, body.get("output"))
        else:
            outcome = state.jobs.finish(job_id, worker_id, body, len(data), state.clock())
            if body.get("stopPod"):
                state.workers.seen(worker_id, state.clock()).stop_requested = True
                self._stop_pod(worker_id)
        state.changes.notify()
        return web.Response(status=self._status(outcome), text=state.assumptions.result_answer)

    async def _stream(self, request: web.Request) -> web.Response:
        """Store one chunk of a stream."""
        self._check_key(request)
        data = await request.read()
        body = _json_object(data)
        if len(data) > self._state.assumptions.chunk_limit:
            return web.Response(status=400)
        outcome = self._state.jobs.add_chunk(request.match_info["job"], request.match_info["worker"], body)
        self._state.changes.notify()
        return web.Response(status=self._status(outcome))

    async def _ping(self, request: web.Request) -> web.Response:
        """Store a heartbeat with the ids of the worker's jobs, or the report of an unhealthy worker."""
        self._check_key(request)
        state, query = self._state, request.query
        job_ids = tuple(job_id for job_id in query.get("job_id", "").split(",") if job_id)
        problem = f"{query.get('check', '')}: {query.get('reason', '')}" if query.get("status") == "unhealthy" else ""
        state.workers.ping(request.match_info["worker"], job_ids, problem, state.clock())
        for job_id in job_ids:
            state.jobs.note_ping(job_id, state.clock())
        state.changes.notify()
        return web.Response()

    def _nothing(self) -> web.Response:
        """Return the response to a call that has waited in vain."""
        return web.Response(status=self._state.assumptions.empty_status)

    def _taken_form(self, job: RunpodJob) -> dict[str, Any]:
        """Return a job as its worker gets it."""
        return {**job.taken_form, **({"unknownKey": [1]} if self._state.assumptions.adds_unknown_key else {})}

    def _status(self, outcome: ResultOutcome) -> int:
        """Return the HTTP status for what became of a result."""
        assumptions = self._state.assumptions
        return {
            ResultOutcome.ACCEPTED: 200,
            ResultOutcome.IGNORED: assumptions.late_result_status,
            ResultOutcome.TOO_LARGE: 400,
            ResultOutcome.UNKNOWN_JOB: assumptions.unknown_job_status,
        }[outcome]

    def _check_key(self, request: web.Request) -> None:
        """Raise HTTPUnauthorized without the worker's key, which is sent bare."""
        if request.headers.get("Authorization") != self._state.keys.worker:
            raise web.HTTPUnauthorized(text="unauthorized")


def _json_object(data: bytes) -> dict[str, Any]:
    """Return a JSON object. Raises HTTPBadRequest for anything else, and for NaN and infinite numbers."""
    try:
        body = json.loads(data, parse_constant=_refuse)
    except ValueError as error:
        raise web.HTTPBadRequest(text=f"invalid JSON: {error}") from None
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text="expected a JSON object")
    return body


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _number(request: web.Request, name: str) -> int:
    """Return a number of the query, 0 if it is missing or invalid."""
    text = request.query.get(name, "")
    return int(text) if text.isdigit() else 0
