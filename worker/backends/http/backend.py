"""The backend for a worker at a URL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import ClassVar
from urllib.parse import quote

import aiohttp
import orjson

from worker.backends.base import (
    JSON,
    Backend,
    BackendLoad,
    Capabilities,
    GpuPrice,
    JobBody,
    JobReference,
    RemoteCancellation,
    RemoteEvent,
    RemoteResponse,
    RemoteState,
    RemoteStatus,
)
from worker.backends.http.connection import HttpConnection, Outgoing, retry_after_s
from worker.backends.refusal import is_foreign, read_refusal
from worker.errors import BackendRefused, BackendUnreachable, JobLost, OperationUnsupported, SubmissionUncertain
from worker.sse import EventParser

SYNC = "/generate/sync"
WAIT_S = 50
"""Seconds for which the worker holds a request for the result of a job that runs."""
UNKNOWN_JOB = frozenset({401, 404, 410})
PROGRESS = ("state", "position", "node", "step", "eta_s", "eta_p90_s")
QUEUED_STATES = frozenset({"queued", "preparing", "waiting"})
CANCELLED = 499


class HttpBackend(Backend):
    """A worker at a URL. The key of a job is its id there, so that a submission that is repeated finds its job."""

    kind: ClassVar[str] = "http"

    def __init__(self, name: str, connection: HttpConnection, price: GpuPrice | None = None) -> None:
        super().__init__(name)
        self._connection = connection
        self._price = price

    @property
    def capabilities(self) -> Capabilities:
        """Everything, and the price if the settings have it."""
        return Capabilities(price=self._price is not None)

    async def submit(self, job: JobBody, located: JobReference | None = None) -> JobReference:
        """Start a job with `POST /generate`."""
        async with self._submission("/generate", job) as response:
            if response.status >= 400:
                raise await self._refusal(response)
            return await self._accepted(response)

    async def status(self, reference: JobReference) -> RemoteStatus:
        """Return the status by `GET /jobs/{id}`. The body of a result is not read."""
        async with self._about(reference, "GET") as response:
            if response.status != 202:
                return RemoteStatus(end_state(response.status))
            progress = await self._connection.json(response)
        state = RemoteState.QUEUED if progress.get("state") in QUEUED_STATES else RemoteState.RUNNING
        return RemoteStatus(state, {name: progress[name] for name in PROGRESS if name in progress})

    async def events(self, reference: JobReference, after: int = 0) -> AsyncIterator[RemoteEvent]:
        """Yield the events of `GET /jobs/{id}/events`."""
        headers = {"Last-Event-ID": str(after)} if after else None
        async with self._about(reference, "GET", "/events", headers) as response:
            parser = EventParser()
            async for chunk in self._connection.chunks(response):
                for event in parser.feed(chunk):
                    if event.id.isdigit():
                        yield RemoteEvent(int(event.id), event.name, event.data)

    @asynccontextmanager
    async def result(self, reference: JobReference) -> AsyncIterator[RemoteResponse]:
        """Wait with `GET /jobs/{id}`, which returns after at most WAIT_S seconds, until the job has ended."""
        while True:
            async with self._about(reference, "GET", headers={"Prefer": f"wait={WAIT_S}"}) as response:
                if response.status != 202:
                    yield self._opened(response)
                    return
                await self._connection.read(response)

    @asynccontextmanager
    async def run(self, job: JobBody, located: JobReference | None = None) -> AsyncIterator[RemoteResponse]:
        """Run a job with `POST /generate/sync`. After a 202, wait for its result.

        A response with an error may be a refusal, or the result of a job that has failed.
        """
        async with self._submission(SYNC, job) as response:
            if response.status != 202:
                yield self._opened(response)
                return
            reference = await self._accepted(response)
        async with self.result(reference) as result:
            yield result

    async def cancel(self, reference: JobReference) -> RemoteCancellation:
        """Cancel a job with `DELETE /jobs/{id}`."""
        async with self._about(reference, "DELETE") as response:
            answer = await self._connection.json(response)
        return RemoteCancellation(bool(answer.get("cancelled")), bool(answer.get("stopping")))

    async def price(self) -> GpuPrice:
        """Return the price in the settings of the backend."""
        return self._price if self._price is not None else await super().price()

    async def load(self) -> BackendLoad:
        """Return the numbers of jobs in the health of RunPod's API, which has those that wait and those that run."""
        async with self._connection.request("GET", "/v2/worker/health") as response:
            if response.status != 200:
                raise OperationUnsupported(f"{self.name}: the worker does not report its jobs (HTTP {response.status})")
            health = await self._connection.json(response)
        jobs, workers = health.get("jobs", {}), health.get("workers", {})
        return BackendLoad(jobs.get("inQueue", 0), jobs.get("inProgress", 0), workers.get("ready"))

    @asynccontextmanager
    async def _submission(self, path: str, job: JobBody) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a job. Raises SubmissionUncertain if the connection breaks before the response."""
        headers = {**job.headers, "Content-Type": JSON, "Idempotency-Key": job.key}
        outgoing = Outgoing(headers, job.json, lost=SubmissionUncertain, waits=path == SYNC)
        async with self._connection.request("POST", path, outgoing) as response:
            yield response

    async def _accepted(self, response: aiohttp.ClientResponse) -> JobReference:
        """Return the reference in a 202 response. Raises SubmissionUncertain if the connection breaks meanwhile.

        Raises BackendUnreachable for a response that no worker sends.
        """
        accepted = await self._connection.json(response, lost=SubmissionUncertain)
        if response.status != 202 or not {"id", "token"} <= accepted.keys():
            raise self._connection.unexpected(response, orjson.dumps(accepted))
        return JobReference(str(accepted["id"]), str(accepted["token"]))

    @asynccontextmanager
    async def _about(
        self, reference: JobReference, method: str, path: str = "", headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request about a job. Raises JobLost if the worker does not know it, and BackendUnreachable."""
        url = f"/jobs/{quote(reference.id, safe='')}{path}"
        authorization = {"Authorization": f"Bearer {reference.token}"} if reference.token else {}
        outgoing = Outgoing({**authorization, **(headers or {})})
        async with self._connection.request(method, url, outgoing) as response:
            if response.status in UNKNOWN_JOB:
                raise JobLost(f"{self.name}: the worker does not know the job {reference.id} any more")
            if is_foreign(response.status, response.content_type):
                raise BackendUnreachable(f"{self.name}: HTTP {response.status} from a server in front of the worker")
            yield response

    async def _refusal(self, response: aiohttp.ClientResponse) -> BackendRefused:
        """Return the error for the response to a job that was not accepted."""
        body = await self._connection.read(response)
        facts = read_refusal(response.status, body)
        return BackendRefused(
            f"{self.name}: {facts.message}",
            response.status,
            body,
            elsewhere=facts.elsewhere,
            retry_after_s=retry_after_s(response),
        )

    def _opened(self, response: aiohttp.ClientResponse) -> RemoteResponse:
        """Return the result in an HTTP response."""
        return RemoteResponse(response.status, self._connection.chunks(response), content_type=response.content_type)


def end_state(status: int) -> RemoteState:
    """Return the state of a job whose result has this HTTP status."""
    if status < 300:
        return RemoteState.SUCCEEDED
    return RemoteState.CANCELLED if status == CANCELLED else RemoteState.FAILED
