"""The jobs of the worker, each from its acceptance until its result expires."""

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
from worker.jobs.admission import MIB, Admission, AdmissionLimits, free_bytes
from worker.jobs.job_index import JobEntry, JobIndex, Key, may_run_again
from worker.jobs.journal import MOST_ENDED, needs_row
from worker.jobs.restored import RestoredJobs, remove_strays
from worker.jobs.retention import Retention
from worker.load.node_work import JobWork
from worker.pipeline import Pipeline
from worker.settings import LimitSettings, OutputSettings
from worker.supervision import Tasks, stop


class JobManager:
    """Accepts, finds, cancels and delivers jobs, and removes them when their results expire."""

    def __init__(
        self,
        pipeline: Pipeline,
        job_index: JobIndex,
        limits: LimitSettings,
        outputs: OutputSettings,
        state: Path,
        tasks: Tasks,
    ) -> None:
        self._pipeline, self._journal = pipeline, pipeline.journal
        self._limits, self._outputs = limits, outputs
        self._state, self._tasks = state, tasks
        self.job_index = job_index
        self._retention = Retention(self._remove, most=MOST_ENDED, max_bytes=outputs.quota * MIB)
        self._retaining = tasks.start("retention", self._retention.run)
        self._background: set[asyncio.Task[None]] = set()
        self.admission = Admission(AdmissionLimits.of(limits), pipeline.engines.estimates)
        self.draining = False

    async def restore(self) -> None:
        """Keep the results of earlier processes, and run their unfinished jobs. Raises StartupError."""
        restored = await asyncio.to_thread(lambda: RestoredJobs.of(self._journal.jobs()))
        if not self.set_aside:  # with unreadable rows, another version may need the files of their jobs
            inputs, outputs, folders = self._pipeline.inputs.store, self._pipeline.outputs, restored.folders
            self._run_in_background(remove_strays(inputs.stale_folders(folders) + outputs.stale_folders(folders)))
        for job, ended_at in restored.ended:
            entry = self.job_index.add(job)
            entry.recorded.set()
            entry.ended.set()
            self._keep(job, self._outputs.result_ttl_s - max(time.time() - ended_at, 0.0))  # the clock was set back
        for job in restored.unfinished:
            job.detached = True  # the client has disconnected, and may request the job again
            work = await self._pipeline.work.of(job.request.prompt)
            job.workload = work.units  # an older release may have stored it in other units
            self._start(job, work)
        self._journal.delete(*restored.dropped)

    @property
    def set_aside(self) -> int:
        """Number of jobs of earlier processes that the journal could not read."""
        return self._journal.set_aside

    @property
    def has_first_release_job(self) -> bool:
        """Whether a release before v0.2.0 stored one of the jobs."""
        return self.job_index.has_first_release_job

    def admit(self, principal: str = "", parent: str | None = None) -> None:
        """Raise WorkerBusy, DiskFull, JournalUnavailable or Draining when no job is accepted.

        A prompt of a call that runs is accepted, because the call was. Raises Forbidden when the call does not run.
        """
        if parent is not None:
            self.job_index.check_parent(principal, parent)
        elif self.draining:
            raise Draining("this worker is shutting down")
        else:
            self.admission.admit(free_bytes(self._state))

    def would_start(self, request: JobRequest, principal: str) -> bool:
        """Return whether `accept` would start a new job for this request. Raises InvalidField and IdTaken."""
        entry = self.job_index.find_same(request, principal)
        return entry is None or may_run_again(entry)

    async def accept(
        self,
        request: JobRequest,
        work: JobWork,
        principal: str = "local",
        *,
        collectable: bool = False,
        arrived: ReceivedFiles | None = None,
    ) -> Job:
        """Start a job and return it, or return the one that the same request started under its id.

        `work` is that of the prompt. A new job takes over the received files. It is stored before this returns if a
        client may request it later (`collectable`). Raises what `admit` raises, InvalidField and IdTaken.
        """
        entry = self.job_index.find_same(request, principal)
        if entry is None or may_run_again(entry):
            self.admit(principal, request.parent)
            arrived = arrived or ReceivedFiles()
            job = Job(
                request.job_id or secrets.token_hex(16),
                replace(request, inputs=arrived.files) if arrived.files else request,
                *(principal, work.units),
                *(self._remove_for_retry(entry) if entry else secrets.token_urlsafe(24), arrived.folder),
                collectable=request.parent is None and (collectable or bool(request.key or request.webhook)),
                detached=request.webhook is not None,
            )
            arrived.claimed = True
            entry = self._start(job, work)
        elif entry.job.state is JobState.DELIVERY_PENDING:
            self.deliver(entry.job, request)  # a repeated request delivers the stored result
        try:
            await entry.recorded.wait()
        except asyncio.CancelledError:
            if not entry.job.request.key:  # with a key, the client sends the request again
                entry.abandon()  # the client disconnected before it got a response
            raise
        if isinstance(entry.job.error, JournalUnavailable):
            raise entry.job.error
        return entry.job

    async def detach(self, job: Job) -> None:
        """Let a job go on without its client, which will request the result later. Raises JournalUnavailable."""
        job.detached = job.collectable = True
        if not job.state.ended:
            await self._journal.record_accepted(job)

    def states(self) -> Counter[JobState]:
        """Return the number of jobs in each state."""
        return Counter(entry.job.state for entry in self.job_index)

    def find(self, job_id: str, token: str) -> Job:
        """Return the job with this id and token. Raises NotFound alike for a wrong token and a missing job."""
        return self.job_index.find(job_id, token)

    def find_owned(self, job_id: str, principal: str) -> Job:
        """Return a principal's job. Raises NotFound for another principal's job as for one that does not exist."""
        return self.job_index.find_owned(job_id, principal)

    async def wait_for_end(self, job: Job) -> None:
        """Wait until the job has ended."""
        await self.job_index.entry_of(job).ended.wait()

    async def wait_until_idle(self) -> None:
        """Wait until all jobs that are waiting or running now have ended."""
        await asyncio.gather(*(self.wait_for_end(job) for job in self.job_index.unfinished()))

    @asynccontextmanager
    async def count_waiter(self, job: Job) -> AsyncIterator[None]:
        """Count a client that waits for the job inside the context.

        The job is cancelled a while after the last client has disconnected, unless a client may request it later.
        """
        entry = self.job_index.entry_of(job)
        job.waiters += 1
        if entry.hangup:
            entry.hangup.cancel()
        try:
            yield
        finally:
            job.waiters -= 1
            if not (job.waiters or job.detached or job.request.key or job.state.ended):
                loop = asyncio.get_running_loop()
                entry.hangup = loop.call_later(self._limits.hangup_grace_s, entry.abandon)

    async def cancel(self, job: Job) -> bool:
        """Cancel a job and its prompts, and wait for its end. Return whether it was cancelled. A node may still run."""
        task = self.job_index.entry_of(job).task
        if task is None or job.state.ended:
            return False
        task.cancel()
        self.job_index.abandon_children(job)
        await self.wait_for_end(job)
        return job.state is JobState.CANCELLED

    def deliver(self, job: Job, request: JobRequest | None = None) -> None:
        """Deliver a stored result again, to the target of `request` if any. Raises NothingToDeliver and Draining."""
        if job.state is not JobState.DELIVERY_PENDING:
            raise NothingToDeliver(f"job {job.id!r} has no result to deliver again: its state is {job.state}")
        if self.draining:
            raise Draining("this worker is shutting down")
        if request is not None:
            job.request = job.request.with_delivery_of(request)
        entry = self.job_index.entry_of(job)
        entry.ended.clear()
        self._retention.remove((job.principal, job.id))
        delivery = self._pipeline.deliver_again(job, job.request.timeout_s or self._limits.job_timeout_s)
        entry.task = self._tasks.spawn(f"delivery-{job.id}", delivery)
        entry.task.add_done_callback(lambda task: self._settle(entry, task))

    async def close(self, drain_s: float = 0.0) -> None:
        """Accept no more jobs, wait at most `drain_s` seconds for running ones, and hand back the rest.

        A job that is handed back ends here with Draining. It runs after a restart if a client may still request it.
        """
        self.draining = True
        running = {entry.task: entry.job for entry in self.job_index if entry.task and not entry.task.done()}
        if running and drain_s:
            await asyncio.wait(running, timeout=drain_s)
        for task, job in running.items():
            job.handed_back = not task.done()
            task.cancel()
        await asyncio.gather(*running, *self._background, return_exceptions=True)
        self._retention.close()
        await stop(self._retaining)

    def _remove_for_retry(self, entry: JobEntry) -> str:
        """Remove the failed job of a request that is repeated, and return its token for the new job."""
        key = (entry.job.principal, entry.job.id)
        self._retention.remove(key)
        self._remove(key)
        return entry.job.token

    def _start(self, job: Job, work: JobWork) -> JobEntry:
        """Count a job, notify observers, start its task and return its entry."""
        self.admission.begin(job, work)
        entry = self.job_index.add(job)
        self._pipeline.observers.notify(JobAccepted(job.ref, job.workload, job.request.dialect, job.request.template))
        if not needs_row(job):
            entry.recorded.set()
        entry.task = self._tasks.spawn(f"job-{job.id}", self._run_job(entry))
        entry.task.add_done_callback(lambda task: self._end(entry, task))
        return entry

    async def _run_job(self, entry: JobEntry) -> None:
        """Store a job that needs a row, and run it to its end."""
        job = entry.job
        if needs_row(job) and not self._journal.has_row(job):
            try:
                await self._journal.record_accepted(job)
            except JournalUnavailable as error:
                self._pipeline.reject(job, error)
                return
        entry.recorded.set()
        await self._pipeline.run(job, job.request.timeout_s or self._limits.job_timeout_s)

    def _end(self, entry: JobEntry, task: asyncio.Task[None]) -> None:
        """Handle the end of a job's task, even of one that was cancelled before its first step."""
        job = entry.job
        if not job.state.ended and entry.task is task:  # with another task, the result is delivered again
            self._pipeline.reject(job, None if task.cancelled() else InternalError("an unexpected error in the worker"))
        self.admission.end(job)
        self.job_index.abandon_children(job)
        entry.recorded.set()
        self._settle(entry, task)

    def _settle(self, entry: JobEntry, task: asyncio.Task[None]) -> None:
        """Finish a job whose task has ended, unless another task delivers its result again."""
        if entry.task is not task:
            return
        if entry.hangup:
            entry.hangup.cancel()
        try:
            if not entry.job.handed_back:
                self._drop_request_data(entry.job)
            self._keep(entry.job, self._outputs.result_ttl_s)
        finally:
            entry.ended.set()  # waiting clients get their response even if cleaning fails

    def _keep(self, job: Job, life_s: float) -> None:
        """Keep the result of a job for `life_s` seconds, unless it uses too much disk."""
        self._retention.add((job.principal, job.id), life_s, self._pipeline.outputs.size(job))

    def _drop_request_data(self, job: Job) -> None:
        """Drop body and input files of a job that has ended, and credentials unless it can be delivered again."""
        if job.request.inputs:
            self._run_in_background(self._pipeline.inputs.store.remove(job.folder))
        target, webhook = (None, None) if job.state in ENDS else (job.request.target, job.request.webhook)
        kept = replace(job.request, prompt={}, inputs=(), arguments="", extra=ExtraData())
        job.request = replace(kept, target=target, webhook=webhook)
        if self._pipeline.inputs.has_files(job):
            self._run_in_background(self._pipeline.inputs.remove(job))

    def _remove(self, key: Key) -> None:
        """Remove a job with its files and its row."""
        job = self.job_index.remove(key)
        self._run_in_background(self._pipeline.outputs.remove(job))
        self._journal.delete(job)
        self._pipeline.observers.notify(JobRemoved(job.ref))

    def _run_in_background(self, work: Coroutine[None, None, None]) -> None:
        """Run cleaning work that `close` waits for."""
        task = self._tasks.spawn("cleaning", work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
