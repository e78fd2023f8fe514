"""Runs the jobs of the proxy on backends: chooses one, submits the job, follows it, and falls back to another one.

A job that a backend has accepted is never submitted elsewhere before it is known to have ended there, or the backend
has lost it. A backend has lost a job if it says that it does not know it, or if it has not responded for a time.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from worker.backends.base import RemoteResponse
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
from worker.proxy.dispatch.attempt_runner import AttemptRunner
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.events import JobEnded, ProxyEvent
from worker.proxy.job import Attempt, AttemptOutcome, ProxyJob, RemoteResult
from worker.proxy.journal import JobJournal
from worker.proxy.results.answers import error_body, in_own_dialect
from worker.proxy.results.result_store import ResultStore

log = logging.getLogger(__name__)

REPEAT = Backoff(1.0, 30.0)
"""Pauses between two rounds over all backends, for an accepted job that none of them takes."""
TEMPORARY = frozenset({401, 403, 408, 425, 429, *range(500, 600)})
"""Statuses of refusals that may change. The operator may correct a key that is not accepted."""
MOST_LOST = 3
"""Backends that may lose a job before it fails. A job that ends its workers would end all of them."""


@dataclass(slots=True)
class RoundOutcome:
    """What became of a job after all its backends were tried.

    `refusal` is the last answer of a backend that did not take it. `may_change` means that one may take it later.
    """

    result: RemoteResult | None = None
    refusal: BackendRefused | None = None
    may_change: bool = False


class Dispatcher:
    """Runs jobs. `order` returns the names of the backends that may run a job, the preferred one first."""

    def __init__(
        self,
        slots: Mapping[str, BackendSlot],
        order: Callable[[ProxyJob], Sequence[str]],
        attempts: AttemptRunner,
        journal: JobJournal,
        results: ResultStore,
        notify: Callable[[ProxyEvent], None],
    ) -> None:
        self._slots = slots
        self._order = order
        self._attempts = attempts
        self._journal = journal
        self._results = results
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
        for rounds in itertools.count(1):
            outcome = await self._round(job)
            if outcome.result is not None:
                return outcome.result
            is_owed = job.promised or (job.lost and rounds <= MOST_LOST)
            if not outcome.may_change or not is_owed:
                break
            await asyncio.sleep(REPEAT.pause(rounds))
        if outcome.refusal is not None:
            return await self._refused(job, outcome.refusal)
        problems = "; ".join(f"{slot.name}: {slot.problem}" for slot in self._slots.values() if slot.problem)
        raise NoBackend(f"no backend takes the job now: {problems or 'none may run it'}")

    async def _round(self, job: ProxyJob) -> RoundOutcome:
        """Try the backends of a job in their order. Raises JobGone and JobCancelled."""
        outcome = RoundOutcome()
        for slot, attempt in self._candidates(job):
            if attempt is None:
                self._check_wanted(job)
            try:
                outcome.result = await self._attempts.run(job, slot, attempt)
                break
            except BackendRefused as error:
                if not error.elsewhere:
                    outcome.result = await self._refused(job, error)
                    break
                outcome.refusal = error
                outcome.may_change |= error.status in TEMPORARY and slot.name not in job.failed_at
            except (BackendUnreachable, JobLost) as error:
                log.warning("job %s: %s", job.key, error)
                self._check_lost(job)
                outcome.may_change = True
        return outcome

    def _candidates(self, job: ProxyJob) -> Iterator[tuple[BackendSlot, Attempt | None]]:
        """Yield the backends to try: the one that may have the job already, with its attempt, then those of its route.

        Those where the job has failed are left out. Raises JobGone.
        """
        attempt = job.attempt
        if attempt is not None and attempt.backend in self._slots:
            yield self._slots[attempt.backend], attempt
        elif attempt is not None:
            attempt.outcome, attempt.reason = AttemptOutcome.LOST, "the backend is not configured any more"
            self._check_lost(job)
        for name in self._order(job):
            if name not in job.failed_at:
                yield self._slots[name], None

    def _check_wanted(self, job: ProxyJob) -> None:
        """Raise JobCancelled if the caller has cancelled the job."""
        if job.cancelled:
            raise JobCancelled("the job was cancelled")

    def _check_lost(self, job: ProxyJob) -> None:
        """Raise JobGone if the last backend has lost the job, and it may not be sent again."""
        self._check_wanted(job)
        lost = job.lost[-1] if job.lost else None
        if lost is not None and job.attempts[-1] is lost and (not lost.resubmits or len(job.lost) >= MOST_LOST):
            raise JobGone(f"the backend {lost.backend!r} has lost the job, and it may have run there: {lost.reason}")
