"""The backend for a worker at a URL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import ClassVar
from urllib.parse import quote

import aiohttp

from worker.backends.base import JSON, BackendLoad, Capabilities, JobBody, JobReference, RemoteResponse
from worker.backends.http.connection import Outgoing
from worker.backends.http.worker_backend import JobAction, JobQuery, WorkerBackend
from worker.backends.refusal import is_foreign, lost_answer
from worker.errors import BackendUnreachable, OperationUnsupported, SubmissionUncertain

SYNC = "/generate/sync"
ROUTES = {JobAction.RESULT: ("GET", ""), JobAction.EVENTS: ("GET", "/events"), JobAction.CANCEL: ("DELETE", "")}
"""Method and path below `/jobs/{id}`."""


class HttpBackend(WorkerBackend):
    """A worker at a URL. The key of a job is its id there, so that a submission that is repeated finds its job."""

    kind: ClassVar[str] = "http"

    @property
    def capabilities(self) -> Capabilities:
        """Everything, and the price if the settings have it."""
        return Capabilities(price=self._price is not None, answers=True)

    async def submit(self, job: JobBody, located: JobReference | None = None) -> JobReference:
        """Start a job with `POST /generate`, or with `/generate/stream` for previews in its events."""
        async with self._submission("/generate/stream" if job.follows else "/generate", job) as response:
            return JobReference(*await (self._first_event(response) if job.follows else self._accepted(response)))

    @asynccontextmanager
    async def run(self, job: JobBody, located: JobReference | None = None) -> AsyncIterator[RemoteResponse]:
        """Run a job with `POST /generate/sync`. After a 202, wait for its result.

        A response with an error may be a refusal, or the result of a job that has failed.
        """
        async with self._submission(SYNC, job) as response:
            if response.status != 202:
                yield self._opened(response, lost=SubmissionUncertain)
                return
            reference = JobReference(*await self._accepted(response))
        try:
            async with self.result(reference) as result:
                yield result
        except BackendUnreachable as error:  # the job is there
            raise SubmissionUncertain(str(error)) from error

    async def load(self) -> BackendLoad:
        """Return the numbers of jobs in the health of RunPod's API, which has those that wait and those that run."""
        async with self._connection.request("GET", "/v2/worker/health") as response:
            if is_foreign(response.status, response.content_type):
                raise BackendUnreachable(f"{self.name}: HTTP {response.status} from a server in front of the worker")
            if response.status != 200:
                raise OperationUnsupported(f"{self.name}: the worker does not report its jobs (HTTP {response.status})")
            health = await self._connection.json(response)
        jobs, workers = health.get("jobs") or {}, health.get("workers") or {}
        ready = workers.get("ready")
        try:
            return BackendLoad(
                int(jobs.get("inQueue", 0)), int(jobs.get("inProgress", 0)), None if ready is None else int(ready)
            )
        except (TypeError, ValueError) as error:
            raise OperationUnsupported(f"{self.name}: the numbers of jobs are not numbers: {error}") from error

    @asynccontextmanager
    async def ask(self, method: str, path: str, body: bytes | None = None) -> AsyncIterator[RemoteResponse]:
        """Send a request that starts no job, and open the answer."""
        outgoing = Outgoing({"Content-Type": JSON} if body is not None else {}, body)
        async with self._connection.request(method, path, outgoing) as response:
            yield self._opened(response)

    @asynccontextmanager
    async def _submission(self, path: str, job: JobBody) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a job. Raises SubmissionUncertain if the connection breaks before the response."""
        headers = {**job.headers, "Content-Type": JSON, "Idempotency-Key": job.key}
        outgoing = Outgoing(headers, job.json, lost=SubmissionUncertain, waits=path == SYNC)
        async with self._connection.request("POST", path, outgoing) as response:
            if 300 <= response.status < 400:
                raise self._connection.unexpected(response, b"")
            if lost_answer(response.status, response.content_type):
                raise SubmissionUncertain(f"{self.name}: HTTP {response.status} from a server in front of the worker")
            yield response

    def _send(self, reference: JobReference, query: JobQuery) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request to `/jobs/{id}`, with the token of the job."""
        method, part = ROUTES[query.action]
        headers = {"Authorization": f"Bearer {reference.token}"} if reference.token else {}
        headers |= {"Prefer": f"wait={query.wait_s}"} if query.wait_s else {}
        headers |= {"Last-Event-ID": str(query.after)} if query.after else {}
        return self._connection.request(method, f"/jobs/{quote(reference.id, safe='')}{part}", Outgoing(headers))
