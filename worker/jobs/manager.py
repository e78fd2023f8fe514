"""The jobs this worker knows: each from the moment it is accepted until its results have lived their time."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from worker.errors import Draining, InternalError, JournalUnavailable, NothingToDeliver
from worker.events import JobAccepted, JobRemoved
from worker.extra_data import ExtraData
from worker.inputs import ReceivedFiles
from worker.job import ENDS, Job, JobRequest, JobState
from worker.jobs.admission import Admission, AdmissionLimits, free_bytes
from worker.jobs.job_index import JobEntry, JobIndex, Key, may_run_again
from worker.jobs.journal import MOST_ENDED, needs_row
from worker.jobs.restored import RestoredJobs, remove_strays
from worker.jobs.retention import Retention
from worker.pipeline import Pipeline
from worker.settings import LimitSettings, OutputSettings
from worker.supervision import Tasks, stop

MIB = 1024 * 1024


class JobManager:
    """Accepts jobs, finds them again, ends them, and forgets them when their time is over."""

    def __init__(
        self,
        pipeline: Pipeline,
        job_index: JobIndex,
        limits: LimitSettings,
        outputs: OutputSettings,
        state: Path,
        tasks: Tasks,
    ) -> None:
        self._pipeline = pipeline
        self._journal = pipeline.journal
        self._limits = limits
        self._outputs = outputs
        self._state = state
        self._tasks = tasks
        self._job_index = job_index
        self._retention = Retention(self._forget, most=MOST_ENDED, max_bytes=outputs.quota * MIB)
        self._retaining = tasks.start("retention", self._retention.run)
        self._cleaning: set[asyncio.Task[None]] = set()
        self.admission = Admission(AdmissionLimits.of(limits), pipeline.engines.paces)
        self.draining = False

    async def restore(self) -> None:
        """Take up what an earlier life of this worker left: results are served, jobs that a client waits for are run.

        Raises StartupError.
        """
        restored = await asyncio.to_thread(lambda: RestoredJobs.of(self._journal.jobs()))
        if not self.set_aside:  # else a job that another version of the worker can read would lose its files
            inputs, outputs = self._pipeline.inputs.store, self._pipeline.outputs
            self._later(remove_strays(inputs.stale_folders(restored.folders) + outputs.stale_folders(restored.folders)))
        now = time.time()
        for job, ended_at in restored.ended:
            entry = self._job_index.add(job)
            entry.recorded.set()
            entry.ended.set()
            self._keep(job, min(ended_at - now, 0.0) + self._outputs.result_ttl_s)
        for job in restored.unfinished:
            job.detached = True  # the client that waited is gone, and may come back
            self._start(job)
        self._journal.delete(*restored.dropped)

    @property
    def set_aside(self) -> int:
        """Number of jobs of earlier processes that the journal could not read."""
        return self._journal.set_aside

    @property
    def of_first_release(self) -> bool:
        """Whether a job was stored by a release before v0.2.0."""
        return self._job_index.of_first_release

    def admit(self) -> None:
        """Raises WorkerBusy, DiskFull, JournalUnavailable or Draining where another job would not be accepted now."""
        if self.draining:
            raise Draining("this worker is shutting down")
        self.admission.admit(free_bytes(self._state))

    def would_start(self, request: JobRequest, principal: str) -> bool:
        """Whether `accept` would start a job of it, not find one. Raises InvalidField, IdTaken."""
        entry = self._job_index.find_same(request, principal)
        return entry is None or may_run_again(entry)

    async def accept(
        self,
        request: JobRequest,
        workload: float,
        principal: str = "local",
        *,
        collectable: bool = False,
        arrived: ReceivedFiles | None = None,
    ) -> Job:
        """Start a job, or find the one that the same request started under the same id. A new job takes the files.

        It is written down before this returns if a client may ask for it later: by its own id, or by a token that it is
        about to get (`collectable`). Raises InvalidField, IdTaken, WorkerBusy, DiskFull, Draining, JournalUnavailable.
        """
        entry = self._job_index.find_same(request, principal)
        if entry is None or may_run_again(entry):
            self.admit()
            arrived = arrived or ReceivedFiles()
            job = Job(
                request.job_id or secrets.token_hex(16),
                replace(request, inputs=arrived.files) if arrived.files else request,
                principal,
                workload,
                self._replaced(entry) if entry else secrets.token_urlsafe(24),
                arrived.folder,
                collectable=collectable or request.key is not None or request.webhook is not None,
                detached=request.webhook is not None,
            )
            arrived.claimed = True
            entry = self._start(job)
        elif entry.job.state is JobState.DELIVERY_PENDING:
            self.deliver(entry.job, request)  # the same request again: what is missing is done, and not the rest
        try:
            await entry.recorded.wait()
        except asyncio.CancelledError:
            self._hang_up(entry)  # the client left before it could be told anything
            raise
        if isinstance(entry.job.error, JournalUnavailable):
            raise entry.job.error
        return entry.job

    async def detach(self, job: Job) -> None:
        """The client is told to come back for the result. Raises JournalUnavailable."""
        job.detached = job.collectable = True
        if not job.state.ended:
            await self._journal.record_accepted(job)

    def states(self) -> Counter[JobState]:
        """How many jobs are in each state."""
        return Counter(entry.job.state for entry in self._job_index)

    def find(self, job_id: str, token: str) -> Job:
        """Raises NotFound alike for a job that does not exist and for one whose token this is not."""
        return self._job_index.find(job_id, token)

    def find_owned(self, job_id: str, principal: str) -> Job:
        """Raises NotFound alike for a job that does not exist and for another's."""
        return self._job_index.find_owned(job_id, principal)

    async def wait_for_end(self, job: Job) -> None:
        """Wait for the job's end."""
        await self._job_index.entry_of(job).ended.wait()

    @asynccontextmanager
    async def count_waiter(self, job: Job) -> AsyncIterator[None]:
        """Count a client that waits for the job. When the last one has gone for a while, the job is cancelled.

        Unless somebody may come back for it: by an id of his own, or because he was told to (`detached`).
        """
        entry = self._job_index.entry_of(job)
        job.waiters += 1
        if entry.hangup:
            entry.hangup.cancel()
        try:
            yield
        finally:
            job.waiters -= 1
            if not (job.waiters or job.detached or job.request.key or job.state.ended):
                loop = asyncio.get_running_loop()
                entry.hangup = loop.call_later(self._limits.hangup_grace_s, self._hang_up, entry)

    async def cancel(self, job: Job) -> bool:
        """Cancel and wait for its end. False when it had ended already. A node of it may go on (`cancellation`)."""
        task = self._job_index.entry_of(job).task
        if task is None or job.state.ended:
            return False
        task.cancel()
        await self.wait_for_end(job)
        return job.state is JobState.CANCELLED

    def deliver(self, job: Job, wish: JobRequest | None = None) -> None:
        """Deliver a kept result again, without another run; `wish`: with its place and way of delivery.

        Raises NothingToDeliver, Draining.
        """
        if job.state is not JobState.DELIVERY_PENDING:
            raise NothingToDeliver(f"the result of job {job.id!r} does not wait to be delivered: it is {job.state}")
        if self.draining:
            raise Draining("this worker is shutting down")
        if wish is not None:
            job.request = job.request.with_delivery_of(wish)
        entry = self._job_index.entry_of(job)
        entry.ended.clear()
        self._retention.remove((job.principal, job.id))
        entry.task = self._tasks.spawn(f"delivery-{job.id}", self._pipeline.deliver_again(job, self._timeout_s(job)))
        entry.task.add_done_callback(lambda task: self._rest(entry, task))

    async def close(self, drain_s: float = 0.0) -> None:
        """Accept nothing more, wait for running jobs at most `drain_s`, hand back the rest.

        What is handed back ends here with Draining, and goes on in the next life if somebody can come back for it.
        """
        self.draining = True
        running = {entry.task: entry.job for entry in self._job_index if entry.task and not entry.task.done()}
        if running and drain_s:
            await asyncio.wait(running, timeout=drain_s)
        for task, job in running.items():
            job.handed_back = not task.done()
            task.cancel()
        await asyncio.gather(*running, *self._cleaning, return_exceptions=True)
        self._retention.close()
        await stop(self._retaining)

    def _replaced(self, entry: JobEntry) -> str:
        """Forget the failed job of a request that comes again; its token opens the one that takes its place."""
        key = (entry.job.principal, entry.job.id)
        self._retention.remove(key)
        self._forget(key)
        return entry.job.token

    def _start(self, job: Job) -> JobEntry:
        self.admission.begin(job)
        entry = self._job_index.add(job)
        self._pipeline.observers.notify(JobAccepted(job.ref, job.workload, job.request.dialect, job.request.template))
        if not needs_row(job):
            entry.recorded.set()
        entry.task = self._tasks.spawn(f"job-{job.id}", self._live(entry))
        entry.task.add_done_callback(lambda task: self._end(entry, task))
        return entry

    async def _live(self, entry: JobEntry) -> None:
        job = entry.job
        if needs_row(job) and not self._journal.has_row(job):
            try:
                await self._journal.record_accepted(job)
            except JournalUnavailable as error:
                self._pipeline.reject(job, error)
                return
        entry.recorded.set()
        await self._pipeline.run(job, self._timeout_s(job))

    def _timeout_s(self, job: Job) -> float:
        return job.request.timeout_s or self._limits.job_timeout_s

    def _end(self, entry: JobEntry, task: asyncio.Task[None]) -> None:
        job = entry.job
        if not job.state.ended and entry.task is task:  # else it is delivered again already
            dropped = entry.task is None or entry.task.cancelled()
            self._pipeline.reject(job, None if dropped else InternalError("an unexpected error in the worker"))
        self.admission.end(job)
        entry.recorded.set()
        self._rest(entry, task)

    def _rest(self, entry: JobEntry, task: asyncio.Task[None]) -> None:
        """Finish a job whose task has ended, unless it is being delivered again already."""
        if entry.task is not task:
            return
        if entry.hangup:
            entry.hangup.cancel()
        try:
            if not entry.job.handed_back:
                self._clean(entry.job)
            self._keep(entry.job, self._outputs.result_ttl_s)
        finally:
            entry.ended.set()  # a client that waits gets its answer, whatever becomes of the files

    def _keep(self, job: Job, life_s: float) -> None:
        self._retention.add((job.principal, job.id), life_s, self._pipeline.outputs.size(job))

    def _clean(self, job: Job) -> None:
        """The body may be large, and nobody asks for it again. Credentials go when they have done their work."""
        if job.request.inputs:
            self._later(self._pipeline.inputs.store.remove(job.folder))
        request = job.request
        target, webhook = (None, None) if job.state in ENDS else (request.target, request.webhook)
        job.request = replace(request, prompt={}, inputs=(), target=target, webhook=webhook, extra=ExtraData())
        if self._pipeline.inputs.has_files(job):
            self._later(self._pipeline.inputs.remove(job))

    def _hang_up(self, entry: JobEntry) -> None:
        if entry.task and not entry.job.waiters:
            entry.task.cancel()

    def _forget(self, key: Key) -> None:
        job = self._job_index.remove(key)
        self._later(self._pipeline.outputs.remove(job))
        self._journal.delete(job)
        self._pipeline.observers.notify(JobRemoved(job.ref))

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = self._tasks.spawn("cleaning", work)
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)
