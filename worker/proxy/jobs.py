"""The jobs that the proxy knows: accepts them, finds them, cancels them, and removes them after their retention."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from worker.backends.base import RemoteCancellation, RemoteStatus
from worker.errors import BackendError, IdTaken, NotFound, OperationUnsupported, WorkerBusy
from worker.proxy.dispatch.dispatcher import Dispatcher
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.job import ProxyJob, RemoteResult
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


class ProxyJobs:
    """All jobs, by their keys and by the ids of their callers.

    - `result_ttl_s` is the time for which a result is kept that its caller may fetch.
    - `hangup_grace_s` is the time after which a job is cancelled whose client has left, and that no one can fetch.
    - `most_open` is the number of jobs that may be open at a time.
    """

    def __init__(  # noqa: PLR0913 - the parts that it connects
        self,
        slots: Mapping[str, BackendSlot],
        dispatcher: Dispatcher,
        journal: JobJournal,
        results: ResultStore,
        tasks: Tasks,
        *,
        result_ttl_s: float,
        hangup_grace_s: float,
        most_open: int = 10_000,
    ) -> None:
        self._slots = slots
        self._dispatcher = dispatcher
        self._journal = journal
        self._results = results
        self._tasks = tasks
        self._result_ttl_s = result_ttl_s
        self._hangup_grace_s = hangup_grace_s
        self._most_open = most_open
        self._by_key: dict[str, ProxyJob] = {}
        self._by_id: dict[tuple[str, str], ProxyJob] = {}

    def restore(self) -> int:
        """Take over the jobs in the journal, and go on with those that have not ended. Return the number of these."""
        open_jobs = 0
        for job in self._journal.jobs():
            self._add(job)
            if not job.ended.is_set():
                open_jobs += 1
                self._start(job)
        return open_jobs

    def accept(self, job: ProxyJob, *, has_own_id: bool) -> ProxyJob:
        """Start a job, or return the one that the same request has started before.

        Raises IdTaken for another request with the same id, WorkerBusy, and JournalUnavailable.
        """
        known = self._by_id.get((job.caller, job.id)) if has_own_id else None
        if known is not None:
            if known.fingerprint != job.fingerprint:
                raise IdTaken(f"the id {job.id[:200]!r} belongs to another request: choose a new id")
            return known
        if self.open_jobs >= self._most_open:
            raise WorkerBusy(f"the proxy has {self._most_open} open jobs", retry_after_s=5)
        if job.collectable:
            self._journal.record_accepted(job)
        self._add(job)
        self._start(job)
        return job

    @property
    def open_jobs(self) -> int:
        """Number of jobs that have not ended."""
        return sum(not job.ended.is_set() for job in self._by_key.values())

    @property
    def waiting_for_backend(self) -> int:
        """Number of jobs that no backend has accepted yet."""
        return sum(not job.accepted.is_set() for job in self._by_key.values())

    def open_by_caller(self) -> Counter[str]:
        """Return the numbers of jobs that have not ended."""
        return Counter(job.caller for job in self._by_key.values() if not job.ended.is_set())

    def results(self) -> list[RemoteResult]:
        """Return the results that are kept."""
        return [job.result for job in self._by_key.values() if job.result is not None]

    def of_caller(self, caller: str) -> list[ProxyJob]:
        """Return the jobs of a caller that have not ended."""
        return [job for job in self._by_key.values() if job.caller == caller and not job.ended.is_set()]

    def find(self, job_id: str, *, caller: str | None = None, token: str = "") -> ProxyJob:
        """Return a job by its id and its caller, or by its id and its token. Raises NotFound."""
        if caller is not None:
            job = self._by_id.get((caller, job_id))
        else:
            job = next((job for (_, known_id), job in self._by_id.items() if known_id == job_id), None)
            if job is not None and not secrets.compare_digest(job.token.encode(), token.encode()):
                job = None
        if job is None or not job.collectable:
            raise NotFound(
                f"there is no job {job_id[:200]!r}, or it belongs to another caller, or its result has expired"
            )
        return job

    @asynccontextmanager
    async def waiting(self, job: ProxyJob) -> AsyncIterator[None]:
        """Count a request that waits for the result. If the last one leaves, cancel a job that no one can fetch."""
        job.waiters += 1
        try:
            yield
        finally:
            job.waiters -= 1
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
        attempt = job.attempt
        if attempt is None:  # between two backends
            await job.ended.wait()
            return RemoteCancellation(cancelled=True)
        backend = self._slots[attempt.backend].backend
        try:
            cancellation = await backend.cancel(await self._dispatcher.reference_of(job, backend, attempt))
        except OperationUnsupported:
            job.cancelled = False
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
            ended = sorted((job for job in self._by_key.values() if job.ended.is_set()), key=age_s)
            for number, job in enumerate(ended):
                if age_s(job) > self._result_ttl_s or number >= MOST_ENDED:
                    await self._remove(job)

    def _add(self, job: ProxyJob) -> None:
        self._by_key[job.key] = job
        self._by_id[job.caller, job.id] = job

    def _start(self, job: ProxyJob) -> None:
        """Run a job in a task of its own."""
        job.task = self._tasks.spawn(f"job-{job.key}", self._dispatcher.run(job))

    async def _remove(self, job: ProxyJob) -> None:
        """Forget a job and its result."""
        self._by_key.pop(job.key, None)
        self._by_id.pop((job.caller, job.id), None)
        self._journal.delete(job)
        if job.result is not None and job.result.path is not None:
            await self._results.remove(job.key)

    async def _cancel_unless_awaited(self, job: ProxyJob) -> None:
        """Cancel a job if no request waits for it after the grace time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._hangup_grace_s):
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
