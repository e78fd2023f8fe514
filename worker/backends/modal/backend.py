"""The backend for a class of a Modal app: a job is a spawned call of its method `request`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
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
from worker.backends.dialect import dialect_name, dump, error_result, parse
from worker.backends.http.worker_backend import end_state
from worker.backends.modal.workflow_call import error_status, workflow_arguments
from worker.backends.refusal import refused_by_platform
from worker.errors import (
    BackendUnreachable,
    InternalError,
    JobCancelled,
    JobLost,
    JobTimeout,
    ModalRefused,
    ModalUnreachable,
)
from worker.platforms.modal.calls import WHOLE_METHOD, WORKFLOW_METHOD, CallEnd, CallOutcome, ModalClass, as_response

RESULT_S = 7 * 86_400.0
"""Seconds for which Modal keeps the result of a call."""
WAIT_S, PAUSE_S = 50.0, 0.05
CANCEL_S = 20.0
"""Longest wait for the end of a call that was cancelled. Its container learns it by a heartbeat."""
DIALECT, WHOLE = "dialect", "whole"
API_KEY_HEADER = "x-comfy-org-api-key"


class ModalBackend(Backend):
    """A deployed class. Modal chooses the id of a call, so a submission that is repeated starts a second run."""

    kind: ClassVar[str] = "modal"

    def __init__(self, name: str, deployed: ModalClass, *, whole: bool, price: GpuPrice | None = None) -> None:
        super().__init__(name)
        self._class = deployed
        self._whole = whole
        self._price = price

    @property
    def capabilities(self) -> Capabilities:
        """No events, and no difference between a call that waits and one that runs."""
        return Capabilities(
            events=False,
            tells_queued=False,
            uniqueness=Uniqueness.NONE,
            price=self._price is not None,
            result_s=RESULT_S,
        )

    async def submit(self, job: JobBody, located: JobReference | None = None) -> JobReference:
        """Spawn a call. An app without the method `request` gets what its method `run_workflow` can take."""
        extra = {DIALECT: await dialect_name(job.json), WHOLE: self._whole}
        with self._errors():
            if not self._whole:
                arguments = await workflow_arguments(self.name, job.json)
                return JobReference(await self._class.spawn(WORKFLOW_METHOD, **arguments), extra=extra)
            keys = [value for name, value in job.headers.items() if name.lower() == API_KEY_HEADER]
            named = {"comfy_org_api_key": keys[0]} if keys else {}
            body = await parse(job.json)
            return JobReference(await self._class.spawn(WHOLE_METHOD, body, **named), extra=extra)

    async def status(self, reference: JobReference) -> RemoteStatus:
        """Return whether a call has ended. Modal does not say whether one waits or runs, so it is RUNNING until then.

        Modal's graph of a call has only its end, with a delay, and so says no more.
        """
        outcome = await self._outcome(reference, 0.0)
        if outcome is None:
            return RemoteStatus(RemoteState.RUNNING)
        status, _ = _response_of(outcome, reference)
        return RemoteStatus(end_state(status))

    @asynccontextmanager
    async def result(self, reference: JobReference) -> AsyncIterator[RemoteResponse]:
        """Wait for the end of a call, and return the response in its value."""
        outcome = await self._end_of(reference)
        status, body = _response_of(outcome, reference)
        if isinstance(body, RemoteResponse):
            yield body
        elif isinstance(body, bytes):
            response = RemoteResponse.of(status, body)
            response.content_type = "application/octet-stream"
            yield response
        else:
            yield RemoteResponse.of(status, await dump(body))

    async def cancel(self, reference: JobReference) -> RemoteCancellation:
        """Cancel a call, and wait until it has ended. The container cancels the job in ComfyUI."""
        if await self._outcome(reference, 0.0) is not None:
            return RemoteCancellation(cancelled=False)
        with self._errors():
            await self._class.cancel(reference.id)
        deadline = time.monotonic() + CANCEL_S
        while (outcome := await self._outcome(reference, 1.0)) is None:
            if time.monotonic() > deadline:
                return RemoteCancellation(cancelled=True, stopping=True)
            await asyncio.sleep(PAUSE_S)
        return RemoteCancellation(outcome.end is CallEnd.CANCELLED)

    async def price(self) -> GpuPrice:
        """Return the price in the settings of the backend, or that of the price list."""
        return self._price if self._price is not None else await super().price()

    async def load(self) -> BackendLoad:
        """Return the inputs of the class that wait and run, and its containers."""
        with self._errors():
            stats = await self._class.stats()
        return BackendLoad(stats.waiting, stats.running, stats.containers)

    async def _outcome(self, reference: JobReference, wait_s: float) -> CallOutcome | None:
        """Return the end of a call, None if it has not ended. Raises JobLost and BackendUnreachable."""
        with self._errors():
            outcome = await self._class.outcome(reference.id, wait_s)
        if outcome is not None and outcome.end is CallEnd.UNKNOWN:
            raise JobLost(f"{self.name}: Modal does not know the call {reference.id} any more")
        return outcome

    async def _end_of(self, reference: JobReference) -> CallOutcome:
        """Wait for the end of a call. Modal holds each request, except where the app itself raises TimeoutError."""
        while True:
            outcome = await self._outcome(reference, WAIT_S)
            if outcome is not None:
                return outcome
            await asyncio.sleep(PAUSE_S)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Raise the errors of backends for those of Modal's client."""
        try:
            yield
        except ModalUnreachable as error:
            raise BackendUnreachable(f"{self.name}: {error}") from error
        except ModalRefused as error:
            raise refused_by_platform(self.name, error.status, "modal_refused", str(error)) from error


def _response_of(outcome: CallOutcome, reference: JobReference) -> tuple[int, Any]:
    """Return the HTTP status of a call that has ended, and its body: a JSON value, bytes or an open response."""
    dialect = str(reference.extra.get(DIALECT, ""))
    if outcome.end is not None:
        error = {
            CallEnd.CANCELLED: JobCancelled("the job was cancelled"),
            CallEnd.TIMED_OUT: JobTimeout("the job has reached the timeout of its Modal function"),
        }.get(outcome.end) or InternalError(f"the call failed on Modal: {outcome.text}")
        return error.status, error_result(dialect, reference.id, error)
    if reference.extra.get(WHOLE, True):
        response = as_response(outcome.value)
        if response is not None:
            return int(response["status"]), response["body"]
        error = InternalError(f"the method {WHOLE_METHOD} of the app is not that of comfy-worker")
        return error.status, error_result(dialect, reference.id, error)
    return error_status(outcome.value), outcome.value
