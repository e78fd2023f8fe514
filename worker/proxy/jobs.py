"""The jobs that the proxy knows: accepts them, finds them, cancels them, and removes them after their retention."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from worker.backends.base import RemoteCancellation, RemoteStatus, Uniqueness
from worker.errors import BackendError, Draining, IdTaken, JobCancelled, WorkerBusy
from worker.proxy.dispatch.attempt_runner import AttemptRunner
from worker.proxy.dispatch.dispatcher import Dispatcher
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.job import ProxyJob
from worker.proxy.job_index import ProxyJobIndex
from worker.proxy.journal import JobJournal, age_s
from worker.proxy.results.result_store import ResultStore
from worker.supervision import Tasks

log = logging.getLogger(__name__)

SWEEP_S = 10.0
"""Seconds between two removals of old results."""
STATUS_S = 5.0
"""Seconds for which a request for the state of a job waits for its backend."""
MOST_ENDED = 10_000
"""Ended jobs that are kept. Older ones are removed before their time."""


@dataclass(frozen=True, slots=True)
class ProxyLimits:
    """Limits on jobs.

    - `result_ttl_s` is the time for which a result is kept that its caller may fetch.
    - `hangup_grace_s` is the time after which a job is cancelled whose client has left, and that no one can fetch.
    - `most_open` is the number of jobs that may be open at a time.
    """

    result_ttl_s: float
    hangup_grace_s: float
    most_open: int = 10_000


class ProxyJobs:
    """All jobs, by their keys and by the ids of their callers."""

    def __init__(  # noqa: PLR0913 - the parts that it connects
        self,
        slots: Mapping[str, BackendSlot],
        dispatcher: Dispatcher,
        attempts: AttemptRunner,
        journal: JobJournal,
        results: ResultStore,
        tasks: Tasks,
        *,
        limits: ProxyLimits,
    ) -> None:
        self._slots = slots
        self._dispatcher = dispatcher
        self._attempts = attempts
        self._journal = journal
        self._results = results
        self._tasks = tasks
        self._limits = limits
        self.index = ProxyJobIndex()
        """The jobs that are known."""
        self._draining = False
        self._waiters = 0
        """Number of requests that wait for a result."""
        self._no_waiters = asyncio.Event()
        self._no_waiters.set()

    async def restore(self) -> int:
        """Take over the jobs in the journal, and go on with those that have not ended. Return the number of these."""
        for job in self._journal.jobs():
            self.index.add(job)
        await self._results.remove_unknown({job.key for job in self.index})
        for job in list(self.index.open):
            self._start(job)
        return len(self.index.open)

    def accept(self, job: ProxyJob, *, has_own_id: bool) -> ProxyJob:
        """Start a job, or return the one that the same request has started before.

        A job that ended with an error that a retry may not have runs again, with its token. Raises IdTaken for another
        request with the same id, Draining, WorkerBusy, and JournalUnavailable.
        """
        known = self.index.get(job.caller, job.id) if has_own_id else None
        if known is not None and known.fingerprint != job.fingerprint:
            raise IdTaken(f"the id {job.id[:200]!r} belongs to another request: choose a new id")
        if known is not None and not (known.result is not None and known.result.retryable):
            return known
        if self._draining:
            raise Draining("this proxy is shutting down: send the request again")
        if self.open_jobs >= self._limits.most_open:
            raise WorkerBusy(f"the proxy has {self._limits.most_open} open jobs", retry_after_s=5)
        if known is not None:
            job.token = known.token
            self._forget(known)
            self._tasks.spawn(f"removal-{known.key}", self._results.remove(known.key))
        if job.collectable:
            self._journal.record_accepted(job)
        self.index.add(job)
        self._start(job)
        return job

    @property
    def open_jobs(self) -> int:
        """Number of jobs that have not ended."""
        return len(self.index.open)

    @property
    def waiting_for_backend(self) -> int:
        """Number of jobs that no backend has accepted yet."""
        return sum(not job.accepted.is_set() for job in self.index.open)

    async def drain(self, limit_s: float) -> None:
        """Accept no further job, and wait until no client waits for a result, at most for a time."""
        self._draining = True
        if self._waiters:
            log.info("the proxy waits for %d synchronous requests, at most %g s", self._waiters, limit_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._no_waiters.wait()

    @asynccontextmanager
    async def waiting(self, job: ProxyJob) -> AsyncIterator[None]:
        """Count a request that waits for the result. If the last one leaves, cancel a job that no one can fetch."""
        job.waiters += 1
        self._waiters += 1
        self._no_waiters.clear()
        try:
            yield
        finally:
            job.waiters -= 1
            self._waiters -= 1
            if not self._waiters:
                self._no_waiters.set()
            if not job.collectable:
                if job.ended.is_set() and not job.waiters:
                    await self._remove(job)
                elif not job.waiters:
                    self._tasks.spawn(f"hangup-{job.key}", self._cancel_unless_awaited(job))

    def make_collectable(self, job: ProxyJob) -> None:
        """Keep the result of a job, because its caller gets the token for it. Raises JournalUnavailable."""
        job.promised = True
        if not job.collectable:
            job.collectable = True
            self._journal.record_accepted(job)

    async def forget(self, job: ProxyJob) -> None:
        """Remove a job that no backend has accepted, so that its id can be used again."""
        await self._remove(job)

    async def cancel(self, job: ProxyJob) -> RemoteCancellation:
        """Cancel a job at the backend that has it. Raises BackendError if the backend cannot, or does not respond."""
        if job.ended.is_set():
            return RemoteCancellation(cancelled=False)
        job.cancelled = True
        self._journal.record_attempts(job)
        if job.attempt is None:  # no backend has it
            return await self._cancel_unsent(job)
        backend = self._slots[job.attempt.backend].backend
        if not job.attempt.accepted and backend.capabilities.uniqueness is Uniqueness.NONE:
            await job.accepted.wait()  # sending it again to find it would start a second run
        if job.attempt is None:  # the backend has refused it meanwhile
            return await self._cancel_unsent(job)
        try:
            cancellation = await backend.cancel(await self._attempts.reference_of(job, backend, job.attempt))
        except BackendError:
            job.cancelled = False
            self._journal.record_attempts(job)
            raise
        if not cancellation.stopping:
            with suppress(TimeoutError):
                async with asyncio.timeout(STATUS_S):
                    await job.ended.wait()
        return cancellation

    async def status(self, job: ProxyJob) -> RemoteStatus | None:
        """Return what the backend of a job reports about it, None if no backend has it or it does not respond."""
        attempt = job.attempt
        if attempt is None or not attempt.accepted or attempt.reference is None:
            return None
        try:
            async with asyncio.timeout(STATUS_S):
                return await self._slots[attempt.backend].backend.status(attempt.reference)
        except (BackendError, TimeoutError) as error:
            log.info("job %s: its state is not known: %s", job.key, error)
            return None

    async def sweep(self) -> None:
        """Remove results after their time, and write what the journal could not, until the task is cancelled."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self._journal.retry()
            ended = sorted((job for job in self.index if job.ended.is_set()), key=age_s)
            for number, job in enumerate(ended):
                if age_s(job) > self._limits.result_ttl_s or number >= MOST_ENDED:
                    await self._remove(job)

    def _start(self, job: ProxyJob) -> None:
        """Run a job in a task of its own."""

        async def run() -> None:
            try:
                await self._dispatcher.run(job)
            except asyncio.CancelledError:
                is_unsent = job.cancelled and job.attempt is None
                if not is_unsent:  # the proxy ends, and the job goes on after its restart
                    raise
                await self._dispatcher.end_cancelled(job)
            finally:
                if job.ended.is_set():
                    self.index.mark_ended(job)

        job.task = self._tasks.spawn(f"job-{job.key}", run())

    async def _cancel_unsent(self, job: ProxyJob) -> RemoteCancellation:
        """End a job that no backend has as cancelled, without waiting for a backend that is being asked."""
        if job.task is not None and not job.ended.is_set():
            job.task.cancel()
        await job.ended.wait()
        return RemoteCancellation(cancelled=job.result is not None and job.result.status == JobCancelled.status)

    def _forget(self, job: ProxyJob) -> None:
        """Remove a job from the index and the journal."""
        self.index.remove(job)
        self._journal.delete(job)

    async def _remove(self, job: ProxyJob) -> None:
        """Forget a job and its result."""
        self._forget(job)
        if job.has_files:
            await self._results.remove(job.key)

    async def _cancel_unless_awaited(self, job: ProxyJob) -> None:
        """Cancel a job if no request waits for it after the grace time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._limits.hangup_grace_s):
                await job.ended.wait()
        if job.waiters:
            return
        if not job.ended.is_set():
            log.info("job %s: its client has left, so it is cancelled", job.key)
            try:
                await self.cancel(job)
            except BackendError as error:
                log.warning("job %s of a client that has left goes on: %s", job.key, error)
            await job.ended.wait()
        await self._remove(job)
