"""The backend for a queue-based endpoint of RunPod."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from worker.backends.base import (
    Backend,
    BackendLoad,
    Capabilities,
    GpuPrice,
    JobBody,
    JobReference,
    RemoteCancellation,
    RemoteResponse,
    RemoteState,
    RemoteStatus,
    Uniqueness,
)
from worker.backends.dialect import dialect_name, dump
from worker.backends.http.worker_backend import PROGRESS
from worker.backends.refusal import too_large
from worker.backends.runpod.api import RunpodApi
from worker.backends.runpod.whole_result import HttpResult, whole_result

STATES = {
    "IN_QUEUE": RemoteState.QUEUED,
    "IN_PROGRESS": RemoteState.RUNNING,
    "RUNNING": RemoteState.RUNNING,
    "COMPLETED": RemoteState.SUCCEEDED,
    "FAILED": RemoteState.FAILED,
    "TIMED_OUT": RemoteState.FAILED,
    "CANCELLED": RemoteState.CANCELLED,
}
LARGEST_REQUEST, LARGEST_RESULT = 10_000_000, 9_500_000
RESULT_S = 1800.0
"""Seconds for which RunPod keeps the result of a job of /run."""
DIALECT = "dialect"
API_KEY_HEADER = "x-comfy-org-api-key"


class JobForm(ABC):
    """The form in which jobs are written for the image of an endpoint, and in which it writes their results."""

    @abstractmethod
    async def input(self, job: JobBody) -> bytes:
        """Return the body of /run. Raises BackendRefused for a job that the image cannot run."""

    @abstractmethod
    def result(self, answer: Mapping[str, Any], dialect: str) -> HttpResult:
        """Return the result in the status object of a job that has ended."""


class WholeRequests(JobForm):
    """Jobs for the image of this worker, which takes whole requests in any dialect (docs/runpod.md)."""

    async def input(self, job: JobBody) -> bytes:
        """Return the body of /run. A key of comfy.org is the only header that the queue carries."""
        keys = [value for name, value in job.headers.items() if name.lower() == API_KEY_HEADER]
        key = b"".join([b',"comfy_org_api_key":%b' % await dump(value) for value in keys[:1]])
        return b'{"input":{"request":%b%b}}' % (job.json, key)

    def result(self, answer: Mapping[str, Any], dialect: str) -> HttpResult:
        """Return the status and the body that the worker has put into the output."""
        return whole_result(answer, dialect)


class RunpodBackend(Backend):
    """An endpoint. RunPod chooses the id of a job, so a submission that is repeated starts a second run."""

    kind: ClassVar[str] = "runpod"

    def __init__(self, name: str, api: RunpodApi, form: JobForm, price: GpuPrice | None = None) -> None:
        super().__init__(name)
        self._api = api
        self._form = form
        self._price = price

    @property
    def capabilities(self) -> Capabilities:
        """No events, because nothing but the status of a job leaves the queue."""
        return Capabilities(
            events=False,
            uniqueness=Uniqueness.NONE,
            price=self._price is not None,
            largest_request=LARGEST_REQUEST,
            largest_result=LARGEST_RESULT,
            result_s=RESULT_S,
        )

    async def submit(self, job: JobBody, located: JobReference | None = None) -> JobReference:
        """Start a job with `POST /run`."""
        body = await self._form.input(job)
        if len(body) > LARGEST_REQUEST:
            raise too_large(self.name, len(body), LARGEST_REQUEST)
        dialect = await dialect_name(job.json)
        return JobReference(await self._api.submit(body), extra={DIALECT: dialect})

    async def status(self, reference: JobReference) -> RemoteStatus:
        """Return the status, with the last progress that the worker has sent to RunPod."""
        answer = await self._api.status(reference.id)
        state = STATES.get(str(answer.get("status")), RemoteState.QUEUED)
        output = answer.get("output")
        if state.ended or not isinstance(output, Mapping):
            return RemoteStatus(state)
        return RemoteStatus(state, {name: output[name] for name in PROGRESS if name in output})

    @asynccontextmanager
    async def result(self, reference: JobReference) -> AsyncIterator[RemoteResponse]:
        """Wait for the end of a job with `/status-sync`, and return the response in its output."""
        answer = await self._api.wait(reference.id)
        result = self._form.result(answer, str(reference.extra.get(DIALECT, "")))
        yield RemoteResponse.of(result.status, await dump(result.body))

    async def cancel(self, reference: JobReference) -> RemoteCancellation:
        """Cancel a job that waits or runs. RunPod also reports success for one that has ended, so ask before."""
        answer = await self._api.status(reference.id)
        if STATES.get(str(answer.get("status")), RemoteState.QUEUED).ended:
            return RemoteCancellation(cancelled=False)
        answer = await self._api.cancel(reference.id)
        return RemoteCancellation(answer.get("status") == "CANCELLED")

    async def price(self) -> GpuPrice:
        """Return the price in the settings of the backend, or that of the price list."""
        return self._price if self._price is not None else await super().price()

    async def load(self) -> BackendLoad:
        """Return the numbers of the endpoint's health."""
        health = await self._api.health()
        jobs, workers = health.get("jobs") or {}, health.get("workers") or {}
        ready = int(workers.get("ready") or workers.get("idle") or 0)
        return BackendLoad(int(jobs.get("inQueue") or 0), int(jobs.get("inProgress") or 0), ready)
