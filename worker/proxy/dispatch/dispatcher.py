"""Runs the jobs of the proxy on backends: chooses one, submits the job, follows it, and falls back to another one.

A job that a backend has accepted is never submitted elsewhere before it is known to have ended there, or the backend
has lost it. A backend has lost a job if it says that it does not know it, or if it has not responded for a time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from worker.backends.base import Backend, JobBody, JobReference, RemoteResponse, Uniqueness
from worker.backends.refusal import read_refusal
from worker.backoff import Backoff
from worker.errors import (
    BackendRefused,
    BackendUnreachable,
    InternalError,
    JobCancelled,
    JobGone,
    JobLost,
    NoBackend,
    WorkerError,
    shortage_error,
)
from worker.proxy.dispatch.repetition import insist, send
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.events import AttemptEnded, AttemptStarted, JobEnded, ProxyEvent
from worker.proxy.job import Attempt, AttemptOutcome, ProxyJob, RemoteResult
from worker.proxy.journal import JobJournal
from worker.proxy.results.answers import error_body, in_own_dialect, with_resubmissions
from worker.proxy.results.outputs import JobOutputs
from worker.proxy.results.result_store import ResultStore

log = logging.getLogger(__name__)

REPEAT = Backoff(1.0, 30.0)
"""Pauses between two rounds over all backends, for an accepted job that none of them takes."""
MOST_LOST = 3
"""Backends that may lose a job before it fails. A job that ends its workers would end all of them."""
CONTINUES = "draining"
"""Code of the error with which a worker that shuts down leaves a job. The job goes on after the worker's restart."""


class Dispatcher:
    """Runs jobs. `order` returns the names of the backends that may run a job, the preferred one first."""

    def __init__(
        self,
        slots: Mapping[str, BackendSlot],
        order: Callable[[ProxyJob], Sequence[str]],
        journal: JobJournal,
        results: ResultStore,
        outputs: JobOutputs,
        notify: Callable[[ProxyEvent], None],
    ) -> None:
        self._slots = slots
        self._order = order
        self._journal = journal
        self._results = results
        self._outputs = outputs
        self._notify = notify

    async def run(self, job: ProxyJob) -> None:
        """Run a job to its end. It always ends, with a result or with an error."""
        try:
            result = await self._result(job)
        except WorkerError as error:
            result = await self._error(job, error)
        except Exception as error:
            shortage = shortage_error(error)
            if shortage is None:
                log.exception("job %s failed because of an unexpected error", job.key)
            result = await self._error(job, shortage or InternalError("an unexpected error in the proxy"))
        self._end(job, result)

    async def end_cancelled(self, job: ProxyJob) -> None:
        """End a job that no backend has, and whose task was cancelled."""
        self._end(job, await self._error(job, JobCancelled("the job was cancelled")))

    def _end(self, job: ProxyJob, result: RemoteResult) -> None:
        """Store the result of a job, and record its end."""
        job.end(result)
        self._journal.record_ended(job)
        self._notify(JobEnded(job))

    async def _refused(self, job: ProxyJob, error: BackendRefused) -> RemoteResult:
        """Return the answer of a backend that did not accept a job as its result."""
        answer = RemoteResponse.of(error.status, in_own_dialect(job, error.body))
        answer.retry_after_s = error.retry_after_s
        return await self._results.store(job, answer)

    async def _error(self, job: ProxyJob, error: WorkerError) -> RemoteResult:
        """Return an error of the proxy as the result of a job."""
        return await self._results.keep(job, error.status, error_body(job, error))

    async def _result(self, job: ProxyJob) -> RemoteResult:
        """Return the result of a job from the backend that has it, or from the first one that takes and runs it.

        Raises NoBackend, JobGone or JobCancelled.
        """
        refusal: BackendRefused | None = None
        for rounds in itertools.count(1):
            for slot, attempt in self._candidates(job):
                self._check_wanted(job)
                try:
                    return await self._run(job, slot, attempt)
                except BackendRefused as error:
                    if not error.elsewhere:
                        return await self._refused(job, error)
                    refusal = error
                except (BackendUnreachable, JobLost) as error:
                    log.warning("job %s: %s", job.key, error)
                    self._check_lost(job, slot)
            if not job.promised and not (job.lost and rounds <= MOST_LOST):
                break
            await asyncio.sleep(REPEAT.pause(rounds))
        if refusal is not None:
            return await self._refused(job, refusal)
        problems = "; ".join(f"{slot.name}: {slot.problem}" for slot in self._slots.values() if slot.problem)
        raise NoBackend(f"no backend takes the job now: {problems or 'none may run it'}")

    def _candidates(self, job: ProxyJob) -> Iterator[tuple[BackendSlot, Attempt | None]]:
        """Yield the backends to try: the one that may have the job already, with its attempt, then those of its route.

        Each is chosen when the one before has not run the job.
        """
        attempt = job.attempt
        if attempt is not None and attempt.backend in self._slots:
            yield self._slots[attempt.backend], attempt
        elif attempt is not None:
            attempt.outcome, attempt.reason = AttemptOutcome.LOST, "the backend is not configured any more"
        for name in self._order(job):
            yield self._slots[name], None

    def _check_wanted(self, job: ProxyJob) -> None:
        """Raise JobCancelled if the caller has cancelled the job."""
        if job.cancelled:
            raise JobCancelled("the job was cancelled")

    def _check_lost(self, job: ProxyJob, slot: BackendSlot) -> None:
        """Raise JobGone if the backend has lost the job, and it may not be sent again."""
        self._check_wanted(job)
        if job.lost and job.attempts[-1] is job.lost[-1] and (not slot.resubmits or len(job.lost) >= MOST_LOST):
            lost = job.lost[-1]
            raise JobGone(f"the backend {lost.backend!r} has lost the job, and it may have run there: {lost.reason}")

    async def _run(self, job: ProxyJob, slot: BackendSlot, attempt: Attempt | None) -> RemoteResult:
        """Run a job on one backend, or follow it there if it was sent already. Record how that ended.

        Raises BackendRefused, BackendUnreachable and JobLost.
        """
        body = JobBody(job.key, self._journal.request_of(job), job.headers, job.follows)
        if attempt is None:
            attempt = await self._begin(job, slot, body)
        with self._attempting(job, slot, attempt):
            if attempt.accepted:
                return await self._follow(job, slot, attempt)
            if job.collectable or slot.backend.capabilities.uniqueness is not Uniqueness.JOB:
                await self._submit(job, slot, attempt, body)
                return await self._follow(job, slot, attempt)
            return await self._run_at_once(job, slot, attempt, body)

    async def _begin(self, job: ProxyJob, slot: BackendSlot, body: JobBody) -> Attempt:
        """Start an attempt, and record it with the place that the job will have. Raises what `locate` does."""
        attempt = Attempt(slot.name)
        try:
            attempt.reference = await slot.backend.locate(body)
        except BackendUnreachable as error:
            slot.did_not_respond(str(error))
            raise
        job.attempts.append(attempt)
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

    async def _run_at_once(self, job: ProxyJob, slot: BackendSlot, attempt: Attempt, body: JobBody) -> RemoteResult:
        """Submit a job and read its result with one request. It is repeated if its connection breaks.

        Raises what `_submit` does.
        """

        async def run() -> RemoteResult:
            async with slot.backend.run(body, attempt.reference) as response:
                return await self._read(job, attempt, response)

        return await send(slot, run)

    async def _follow(self, job: ProxyJob, slot: BackendSlot, attempt: Attempt) -> RemoteResult:
        """Wait for the result of a job that its backend has accepted. Raises BackendRefused and JobLost."""
        reference = attempt.reference
        if reference is None:
            raise JobLost(f"{slot.name}: the place of the job is not known")
        job.accepted.set()

        async def read() -> RemoteResult:
            async with slot.backend.result(reference) as response:
                return await self._read(job, attempt, response)

        return await insist(slot, read)

    async def _read(self, job: ProxyJob, attempt: Attempt, response: RemoteResponse) -> RemoteResult:
        """Store the result in a response.

        Raises BackendRefused for an error that another backend may not have, and BackendUnreachable for a job that goes
        on after a restart of its worker.
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
                raise BackendUnreachable(f"{attempt.backend}: its worker restarts: {facts.message}")
        if facts.elsewhere:
            message, retry_s = f"{attempt.backend}: {facts.message}", response.retry_after_s
            raise BackendRefused(message, response.status, body, elsewhere=True, retry_after_s=retry_s)
        return await self._results.keep(job, response.status, with_resubmissions(job, in_own_dialect(job, body)))

    async def reference_of(self, job: ProxyJob, backend: Backend, attempt: Attempt) -> JobReference:
        """Return the place of a job that was sent to a backend. Raises BackendError.

        A job that was sent for its result only is sent again, which finds it.
        """
        if attempt.accepted and attempt.reference is not None:
            return attempt.reference
        body = JobBody(job.key, self._journal.request_of(job), job.headers)
        return await backend.submit(body, attempt.reference)
