"""The calls of clients: run, runsync, status, status-sync, stream, cancel, retry, purge-queue, health and requests."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from worker.simulators.runpod.endpoint_state import EndpointState
from worker.simulators.runpod.job_queue.client_refused import ClientRefused
from worker.simulators.runpod.job_queue.records import MS, RunpodJob, RunpodStatus

DEFAULT_WAIT_MS = 90_000
LEAST_WAIT_MS = 1_000
MOST_WAIT_MS = 300_000
STREAM_WAIT_S = 0.5
"""Seconds that /stream waits for a chunk. Unknown for the real API."""


class ClientApi:
    """The routes of one endpoint."""

    def __init__(self, state: EndpointState) -> None:
        self._state = state

    @property
    def routes(self) -> list[web.RouteDef]:
        """The routes, of which each checks the client's key."""
        prefix = "/v2/{endpoint}/"
        return [
            web.post(prefix + "run", self._run),
            web.post(prefix + "runsync", self._runsync),
            web.get(prefix + "status/{job}", self._status),
            web.get(prefix + "status-sync/{job}", self._status_sync),
            web.get(prefix + "stream/{job}", self._stream),
            web.post(prefix + "cancel/{job}", self._cancel),
            web.post(prefix + "retry/{job}", self._retry),
            web.post(prefix + "purge-queue", self._purge),
            web.get(prefix + "health", self._health),
            web.get(prefix + "requests", self._requests),
        ]

    async def _run(self, request: web.Request) -> web.Response:
        """Queue a job."""
        job = await self._submit(request, sync=False)
        return web.json_response({"id": job.id, "status": RunpodStatus.IN_QUEUE.value})

    async def _runsync(self, request: web.Request) -> web.Response:
        """Queue a job and wait for its end."""
        return await self._wait(request, await self._submit(request, sync=True))

    async def _submit(self, request: web.Request, *, sync: bool) -> RunpodJob:
        """Queue the job in a body. Raises ClientRefused."""
        self._check_key(request)
        state, data = self._state, await request.read()
        if len(data) > (state.assumptions.runsync_limit if sync else state.assumptions.run_limit):
            raise ClientRefused(state.assumptions.oversized_request_status, "request body is too large")
        try:
            body = json.loads(data)
            if not isinstance(body, dict):
                raise ValueError("expected a JSON object")
            job = RunpodJob.submitted(body, state.clock(), sync=sync)
        except ValueError as error:
            raise ClientRefused(400, f"bad request: {error}") from None
        state.jobs.submit(job)
        state.changes.notify()
        return job

    async def _wait(self, request: web.Request, job: RunpodJob) -> web.Response:
        """Wait for the end of a job, for as long as the query says, and return its state."""
        text = request.query.get("wait", "")
        wait_ms = min(max(int(text) if text.isdigit() else DEFAULT_WAIT_MS, LEAST_WAIT_MS), MOST_WAIT_MS)
        await self._state.changes.until(lambda: job.status.is_final, wait_ms / MS)
        return web.json_response(self._form(job))

    async def _status(self, request: web.Request) -> web.Response:
        """Return the state of a job."""
        return web.json_response(self._form(self._job(request)))

    async def _status_sync(self, request: web.Request) -> web.Response:
        """Wait for the end of a job and return its state."""
        return await self._wait(request, self._job(request))

    async def _stream(self, request: web.Request) -> web.Response:
        """Return the chunks of a job that no call has returned yet."""
        job = self._job(request)
        await self._state.changes.until(lambda: job.chunks or job.status.is_final, STREAM_WAIT_S)
        chunks, job.chunks = job.chunks, []
        return web.json_response({"status": job.status.value, "stream": chunks})

    async def _cancel(self, request: web.Request) -> web.Response:
        """Cancel a job. One that has ended stays as it is."""
        job = self._job(request)
        self._state.jobs.cancel(job, self._state.clock())
        self._state.changes.notify()
        return web.json_response({"id": job.id, "status": job.status.value})

    async def _retry(self, request: web.Request) -> web.Response:
        """Queue a job again that has failed or timed out."""
        job = self._job(request)
        if not self._state.jobs.retry(job, self._state.clock()):
            raise ClientRefused(400, f"a job that is {job.status.value} cannot be retried")
        self._state.changes.notify()
        return web.json_response({"id": job.id, "status": job.status.value})

    async def _purge(self, request: web.Request) -> web.Response:
        """Cancel all queued jobs."""
        self._check_key(request)
        removed = self._state.jobs.purge(self._state.clock())
        self._state.changes.notify()
        return web.json_response({"removed": removed, "status": "completed"})

    async def _health(self, request: web.Request) -> web.Response:
        """Return counts of jobs and workers."""
        self._check_key(request)
        state = self._state
        totals = state.jobs.totals()
        jobs = {
            "completed": totals[RunpodStatus.COMPLETED],
            "failed": totals[RunpodStatus.FAILED] + totals[RunpodStatus.TIMED_OUT],
            "inProgress": totals[RunpodStatus.IN_PROGRESS],
            "inQueue": len(state.jobs.queue),
            "retried": state.jobs.retried,
        }
        return web.json_response({"jobs": jobs, "workers": state.workers.health(state.running_workers)})

    async def _requests(self, request: web.Request) -> web.Response:
        """List the jobs that have not expired."""
        self._check_key(request)
        self._state.sweep()
        forms: list[dict[str, Any]] = [self._form(job) for job in self._state.jobs.jobs.values()]
        return web.json_response({"requests": forms})

    def _form(self, job: RunpodJob) -> dict[str, Any]:
        """Return the state of a job for clients."""
        return job.status_form(shows_worker=self._state.assumptions.shows_worker_id)

    def _job(self, request: web.Request) -> RunpodJob:
        """Return the job in the path. Raises ClientRefused for an unknown or expired one."""
        self._check_key(request)
        job = self._state.find(request.match_info["job"])
        if job is None:
            raise ClientRefused(404, "job not found")
        return job

    def _check_key(self, request: web.Request) -> None:
        """Raise ClientRefused without the client's key, which may follow `Bearer`."""
        if request.headers.get("Authorization", "").removeprefix("Bearer ") != self._state.keys.client:
            raise ClientRefused(401, "unauthorized")
