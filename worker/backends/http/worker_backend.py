"""What all backends have in common whose jobs are asked about at the worker that has them."""

from __future__ import annotations

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import aiohttp
import orjson

from worker.backends.base import (
    JSON,
    Backend,
    GpuPrice,
    JobReference,
    RemoteCancellation,
    RemoteEvent,
    RemoteResponse,
    RemoteState,
    RemoteStatus,
)
from worker.backends.http.connection import HttpConnection, retry_after_s
from worker.backends.refusal import is_foreign, read_refusal
from worker.errors import BackendError, BackendRefused, BackendUnreachable, JobLost, SubmissionUncertain
from worker.sse import EventParser

WAIT_S = 50
"""Seconds for which the worker holds a request for the result of a job that runs."""
EARLY_S = 1.0
"""Pause after a worker that does not hold the request."""
UNKNOWN_JOB = frozenset({404, 410})
PROGRESS = ("state", "position", "node", "step", "eta_s", "eta_p90_s")
QUEUED_STATES = frozenset({"queued", "preparing", "waiting"})
CANCELLED = 499


class JobAction(Enum):
    """What a request about a job is for."""

    RESULT = auto()
    EVENTS = auto()
    CANCEL = auto()


@dataclass(frozen=True, slots=True)
class JobQuery:
    """A request about a job. `after` is the number of the last event that is known, `wait_s` the wait for its end."""

    action: JobAction
    after: int = 0
    wait_s: int = 0


class WorkerBackend(Backend):
    """Reads status, events and results of jobs from a worker's own responses. A subclass knows the routes."""

    def __init__(self, name: str, connection: HttpConnection, price: GpuPrice | None = None) -> None:
        super().__init__(name)
        self._connection = connection
        self._price = price

    @abstractmethod
    def _send(self, reference: JobReference, query: JobQuery) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """Send a request about a job to its worker. Raises BackendUnreachable, and JobLost if the worker is gone."""

    async def status(self, reference: JobReference) -> RemoteStatus:
        """Return the status by the response for the result. The body of a result is not read."""
        async with self._about(reference, JobQuery(JobAction.RESULT)) as response:
            if response.status != 202:
                return RemoteStatus(end_state(response.status))
            return status_of(await self._connection.json(response))

    async def events(self, reference: JobReference, after: int = 0) -> AsyncIterator[RemoteEvent]:
        """Yield the events of the worker's stream."""
        async with self._about(reference, JobQuery(JobAction.EVENTS, after=after)) as response:
            async for event in self._events(response):
                yield event

    @asynccontextmanager
    async def result(self, reference: JobReference) -> AsyncIterator[RemoteResponse]:
        """Ask for the result, which the worker answers after at most WAIT_S seconds, until the job has ended."""
        while True:
            asked_at = time.monotonic()
            async with self._about(reference, JobQuery(JobAction.RESULT, wait_s=WAIT_S)) as response:
                if response.status != 202:
                    yield self._opened(response)
                    return
                await self._connection.read(response)
            if time.monotonic() - asked_at < EARLY_S:
                await asyncio.sleep(EARLY_S)

    async def cancel(self, reference: JobReference) -> RemoteCancellation:
        """Cancel a job."""
        async with self._about(reference, JobQuery(JobAction.CANCEL)) as response:
            answer = await self._connection.json(response)
        return RemoteCancellation(bool(answer.get("cancelled")), bool(answer.get("stopping")))

    async def price(self) -> GpuPrice:
        """Return the price in the settings of the backend, or that of the price list."""
        return self._price if self._price is not None else await super().price()

    @asynccontextmanager
    async def _about(self, reference: JobReference, query: JobQuery) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request about a job. Raises JobLost if the worker does not know it, and BackendUnreachable."""
        async with self._send(reference, query) as response:
            if response.status in UNKNOWN_JOB and response.content_type == JSON:
                raise JobLost(f"{self.name}: the worker does not know the job {reference.id} any more")
            if is_foreign(response.status, response.content_type):
                raise BackendUnreachable(f"{self.name}: HTTP {response.status} from a server in front of the worker")
            yield response

    async def _accepted(self, response: aiohttp.ClientResponse) -> tuple[str, str]:
        """Return id and token in the response to a submission.

        Raises BackendRefused, SubmissionUncertain if the connection breaks meanwhile, and BackendUnreachable for a
        response that no worker sends.
        """
        if response.status >= 400:
            raise await self._refusal(response)
        accepted = await self._connection.json(response, lost=SubmissionUncertain)
        if response.status != 202 or not {"id", "token"} <= accepted.keys():
            raise self._connection.unexpected(response, orjson.dumps(accepted))
        return str(accepted["id"]), str(accepted["token"])

    async def _first_event(self, response: aiohttp.ClientResponse) -> tuple[str, str]:
        """Return id and token in the first event of a stream. Raises what `_accepted` does."""
        if response.status != 200:
            return await self._accepted(response)
        try:
            async for event in self._events(response):
                accepted = orjson.loads(event.data)
                return str(accepted["id"]), str(accepted["token"])
        except BackendUnreachable as error:
            raise SubmissionUncertain(str(error)) from error
        raise SubmissionUncertain(f"{self.name}: the stream ended before the job was accepted")

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[RemoteEvent]:
        """Yield the events in a response. Raises BackendUnreachable if the connection breaks."""
        parser = EventParser()
        async for chunk in self._connection.chunks(response):
            for event in parser.feed(chunk):
                if event.id.isdigit():
                    yield RemoteEvent(int(event.id), event.name, event.data)

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

    def _opened(
        self, response: aiohttp.ClientResponse, lost: type[BackendError] = BackendUnreachable
    ) -> RemoteResponse:
        """Return the result in an HTTP response. `lost` is the error of its body if the connection breaks."""
        chunks, retry_s = self._connection.chunks(response, lost), retry_after_s(response)
        return RemoteResponse(response.status, chunks, response.content_type, retry_s)


def status_of(progress: Mapping[str, Any]) -> RemoteStatus:
    """Return the status of a job that has not ended, by the fields of a 202 response or of a progress update."""
    state = RemoteState.QUEUED if progress.get("state") in QUEUED_STATES else RemoteState.RUNNING
    return RemoteStatus(state, {name: progress[name] for name in PROGRESS if name in progress})


def end_state(status: int) -> RemoteState:
    """Return the state of a job whose result has this HTTP status."""
    if status < 300:
        return RemoteState.SUCCEEDED
    return RemoteState.CANCELLED if status == CANCELLED else RemoteState.FAILED
