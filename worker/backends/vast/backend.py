"""The backend for an endpoint of Vast: the router chooses a worker, and the job lives there alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar

import aiohttp
import orjson

from worker.backends.base import (
    JSON,
    BackendLoad,
    Capabilities,
    GpuPrice,
    JobBody,
    JobReference,
    Uniqueness,
)
from worker.backends.http.connection import HttpConnection, Outgoing
from worker.backends.http.worker_backend import JobAction, JobQuery, WorkerBackend
from worker.backends.vast.lost_workers import LostWorkers
from worker.backends.vast.router import VastRouter
from worker.errors import BackendUnreachable, JobLost, SubmissionUncertain
from worker.intake.request_cost import cost_of

ROUTES = {JobAction.RESULT: "/result", JobAction.EVENTS: "/events", JobAction.CANCEL: "/cancel"}
AUTH_DATA = "auth_data"


class VastBackend(WorkerBackend):
    """An endpoint of Vast.

    The reference of a located job has the address of its worker and the router's signed choice. The worker recognizes a
    submission with the same choice and the same body, also after its restart, so that a repeated one finds its job.
    """

    kind: ClassVar[str] = "vast"

    def __init__(self, router: VastRouter, lost: LostWorkers, price: GpuPrice | None) -> None:
        super().__init__(router.name, router.connection, price)
        self._router = router
        self._lost = lost

    @property
    def capabilities(self) -> Capabilities:
        """A job is unique at its worker."""
        return Capabilities(uniqueness=Uniqueness.WORKER, price=self._price is not None)

    async def locate(self, job: JobBody) -> JobReference:
        """Return the worker that the router chooses. Its reference has no token, because the job is not sent yet."""
        cost = await asyncio.to_thread(_cost, job.json)
        choice = await self._router.choose(cost)
        return JobReference(job.key, address=str(choice["url"]).rstrip("/"), extra={AUTH_DATA: dict(choice)})

    async def submit(self, job: JobBody, located: JobReference | None = None) -> JobReference:
        """Send a job to its worker with `POST /generate`."""
        place = located or await self.locate(job)
        auth_data = orjson.dumps(place.extra[AUTH_DATA])
        body = b'{"auth_data":%b,"session_id":null,"payload":%b}' % (auth_data, job.json)
        outgoing = Outgoing({**job.headers, "Content-Type": JSON}, body, lost=SubmissionUncertain)
        connection = await self._at(place.address)
        async with connection.request("POST", "/generate", outgoing) as response:
            job_id, token = await self._accepted(response)
        self._lost.reached(place.address)
        return JobReference(job_id, token, place.address, place.extra)

    async def load(self) -> BackendLoad:
        """Return the requests that the router's list of workers has. Those that wait at the router are not in it."""
        rows = await self._router.workers()
        requests = [int(row.get("reqs_working") or 0) for row in rows]
        running = sum(1 for count in requests if count)
        ready = sum(1 for row in rows if row.get("status") == "idle")
        return BackendLoad(queued=sum(requests) - running, running=running, workers=ready)

    @asynccontextmanager
    async def _send(self, reference: JobReference, query: JobQuery) -> AsyncIterator[aiohttp.ClientResponse]:
        """Post a request to the worker of a job. Raises SubmissionUncertain for a job that is only located."""
        if not reference.token:
            raise SubmissionUncertain(f"{self.name}: the job {reference.id} has a worker and may not have been sent")
        fields: dict[str, Any] = {"id": reference.id, "token": reference.token}
        fields |= {"last_event_id": query.after} if query.after else {}
        fields |= {"wait_s": query.wait_s} if query.wait_s else {}
        outgoing = Outgoing({"Content-Type": JSON}, orjson.dumps(fields))
        connection = await self._at(reference.address)
        try:
            async with connection.request("POST", ROUTES[query.action], outgoing) as response:
                self._lost.reached(reference.address)
                yield response
        except BackendUnreachable as error:
            raise await self._unreachable(reference, error) from error

    async def _unreachable(self, reference: JobReference, error: BackendUnreachable) -> BackendUnreachable | JobLost:
        """Return the error for a worker that does not answer, by what the router says."""
        try:
            workers = len(await self._router.workers())
        except BackendUnreachable:
            workers = None
        if not self._lost.is_lost(reference.address, workers, time.monotonic()):
            return error
        return JobLost(f"{self.name}: the worker {reference.address} of the job {reference.id} is gone")

    async def _at(self, address: str) -> HttpConnection:
        """Return a connection to a worker, whose certificate Vast's authority has signed. Raises BackendUnreachable.

        It has no key: the signed choice authorizes a job, and the job's token the requests about it.
        """
        return self._router.connection.to(address, await self._router.ssl_context())


def _cost(body: bytes) -> float:
    """Return the units of a job. The worker rejects a body that is no JSON object."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = None
    return cost_of(value if isinstance(value, dict) else {})
