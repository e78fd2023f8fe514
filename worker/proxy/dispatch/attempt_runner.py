"""Runs a job on one backend: submits it, follows it, reads its result, and records how that ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from worker.backends.base import Backend, JobBody, JobReference, RemoteResponse, Uniqueness
from worker.backends.refusal import read_refusal
from worker.errors import (
    ApiKeyLost,
    BackendError,
    BackendRefused,
    BackendUnreachable,
    DiskFull,
    JobLost,
    SubmissionUncertain,
)
from worker.proxy.dispatch.repetition import insist, send
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.events import AttemptEnded, AttemptStarted, ProxyEvent
from worker.proxy.job import Attempt, AttemptOutcome, ProxyJob, RemoteResult
from worker.proxy.journal import JobJournal
from worker.proxy.results.answers import in_own_dialect, with_resubmissions
from worker.proxy.results.outputs import JobOutputs
from worker.proxy.results.result_store import ResultStore

log = logging.getLogger(__name__)

AT_ONCE_S = 30.0
"""Seconds for which a synchronous job is one request to its backend."""
FULL_S = 10.0
"""Seconds between two attempts to store a result while the disk is full."""
CONTINUES = "draining"
"""Code of the error with which a worker that shuts down leaves a job. The job goes on after the worker's restart."""


class AttemptRunner:
    """Runs jobs, each on one backend at a time."""

    def __init__(
        self,
        journal: JobJournal,
        results: ResultStore,
        outputs: JobOutputs,
        notify: Callable[[ProxyEvent], None],
    ) -> None:
        self._journal = journal
        self._results = results
        self._outputs = outputs
        self._notify = notify

    async def run(self, job: ProxyJob, slot: BackendSlot, attempt: Attempt | None) -> RemoteResult:
        """Run a job on one backend, or follow it there if it was sent already. Record how that ended.

        Raises BackendRefused, BackendUnreachable and JobLost.
        """
        if attempt is not None:
            return await self._resume(job, slot, attempt)
        body = self._body(job)
        attempt = await self._begin(job, slot, body)
        with self._attempting(job, slot, attempt):
            if job.collectable or slot.backend.capabilities.uniqueness is not Uniqueness.JOB:
                return await self._submit_and_follow(job, slot, attempt, body)
            return await self._run_at_once(job, slot, attempt, body)

    async def _resume(self, job: ProxyJob, slot: BackendSlot, attempt: Attempt) -> RemoteResult:
        """Go on with the attempt of an earlier process. Cancel the job there if its caller has done so."""
        if job.cancelled:
            with suppress(BackendError):
                await slot.backend.cancel(await self.reference_of(job, slot.backend, attempt))
        with self._attempting(job, slot, attempt):
            if attempt.accepted:
                return await self._follow(job, slot, attempt)
            if not slot.may_repeat:
                raise JobLost(f"{slot.name}: the job may have been accepted, and may not be sent again")
            return await self._submit_and_follow(job, slot, attempt, self._body(job))

    def _body(self, job: ProxyJob) -> JobBody:
        """Return what a backend gets. Raises JournalUnavailable, and ApiKeyLost after a restart."""
        if job.facts.has_key and not job.headers:
            raise ApiKeyLost("the proxy was restarted, and the comfy.org key of the job is never stored: send it again")
        return JobBody(job.key, self._journal.request_of(job), job.headers, job.follows)

    async def _begin(self, job: ProxyJob, slot: BackendSlot, body: JobBody) -> Attempt:
        """Start an attempt, and record it with the place that the job will have. Raises what `locate` does."""
        attempt = Attempt(slot.name, resubmits=slot.resubmits)
        try:
            attempt.reference = await slot.backend.locate(body)
        except BackendUnreachable as error:
            slot.did_not_respond(str(error))
            raise
        job.add_attempt(attempt)
        self._journal.record_attempts(job)
        self._notify(AttemptStarted(job, slot.name))
        return attempt

    @contextmanager
    def _attempting(self, job: ProxyJob, slot: BackendSlot, attempt: Attempt) -> Iterator[None]:
        """Count the job for its backend inside the context, and record the outcome."""
        slot.open_jobs += 1
        try:
            yield
            attempt.outcome = AttemptOutcome.ENDED
        except BackendRefused as error:
            attempt.outcome = AttemptOutcome.FAILED if attempt.accepted else AttemptOutcome.REFUSED
            attempt.reason = str(error)
            raise
        except BackendUnreachable as error:
            attempt.outcome, attempt.reason = AttemptOutcome.UNREACHABLE, str(error)
            raise
        except JobLost as error:
            attempt.outcome, attempt.reason = AttemptOutcome.LOST, str(error)
            raise
        finally:
            slot.open_jobs -= 1
            if attempt.outcome not in {None, AttemptOutcome.ENDED}:
                self._journal.record_attempts(job)
            if attempt.outcome is not None:
                self._notify(AttemptEnded(job, slot.name, attempt.outcome))

    async def _submit(self, job: ProxyJob, slot: BackendSlot, attempt: Attempt, body: JobBody) -> None:
        """Submit a job until the backend answers, and record its reference.

        Raises BackendRefused, BackendUnreachable if the backend did not get it, and JobLost if that is not certain.
        """
        submit = partial(slot.backend.submit, body, attempt.reference)
        attempt.reference = await send(slot, submit)
        attempt.accepted = True
        self._journal.record_attempts(job)
        self._journal.release_request(job)
        job.accept()

    async def _submit_and_follow(
        self, job: ProxyJob, slot: BackendSlot, attempt: Attempt, body: JobBody
    ) -> RemoteResult:
        """Submit a job, and wait for its result. Raises what `_submit` and `_follow` do."""
        await self._submit(job, slot, attempt, body)
        return await self._follow(job, slot, attempt)

    async def _run_at_once(self, job: ProxyJob, slot: BackendSlot, attempt: Attempt, body: JobBody) -> RemoteResult:
        """Submit a job and read its result with one request. It is repeated if its connection breaks.

        A job that takes longer than AT_ONCE_S is submitted again, which finds it, and then followed, because a request
        without a response does not show whether the backend still lives. Raises what `_submit` does.
        """

        async def run() -> RemoteResult:
            async with slot.backend.run(body, attempt.reference) as response:
                return await self._read(job, attempt, response)

        try:
            async with asyncio.timeout(AT_ONCE_S):
                return await send(slot, run)
        except TimeoutError:
            return await self._submit_and_follow(job, slot, attempt, body)

    async def _follow(self, job: ProxyJob, slot: BackendSlot, attempt: Attempt) -> RemoteResult:
        """Wait for the result of a job that its backend has accepted. Raises BackendRefused and JobLost."""
        reference = attempt.reference
        if reference is None:
            raise JobLost(f"{slot.name}: the place of the job is not known")
        job.accepted.set()
        self._journal.release_request(job)

        async def read() -> RemoteResult:
            async with slot.backend.result(reference) as response:
                return await self._read(job, attempt, response)

        while True:
            try:
                return await insist(slot, read)
            except DiskFull as error:  # the backend still has the result
                log.error("job %s: its result waits for free space: %s", job.key, error.message)
            await asyncio.sleep(FULL_S)

    async def _read(self, job: ProxyJob, attempt: Attempt, response: RemoteResponse) -> RemoteResult:
        """Store the result in a response.

        Raises BackendRefused for an error that another backend may not have, SubmissionUncertain for a job that goes on
        after a restart of its worker, and DiskFull.
        """
        if response.status < 400:
            if job.lost:
                response = RemoteResponse.of(response.status, with_resubmissions(job, await response.read()))
            result = await self._results.store(job, response)
            return await self._outputs.with_urls(job, result) if job.facts.wants_urls else result
        body = await response.read()
        facts = read_refusal(response.status, body)
        if facts.job_id == job.key:
            attempt.accepted = True
            if facts.code == CONTINUES:
                raise SubmissionUncertain(f"{attempt.backend}: its worker restarts: {facts.message}")
        if facts.elsewhere:
            raise BackendRefused(
                f"{attempt.backend}: {facts.message}",
                response.status,
                body,
                elsewhere=True,
                retry_after_s=response.retry_after_s,
                of_job=facts.job_id == job.key,
            )
        return await self._results.keep(job, response.status, with_resubmissions(job, in_own_dialect(job, body)))

    async def reference_of(self, job: ProxyJob, backend: Backend, attempt: Attempt) -> JobReference:
        """Return the place of a job that was sent to a backend. Raises BackendError.

        A job that was sent for its result only is sent again, which finds it.
        """
        if attempt.accepted and attempt.reference is not None:
            return attempt.reference
        body = JobBody(job.key, self._journal.request_of(job), job.headers)
        return await backend.submit(body, attempt.reference)
