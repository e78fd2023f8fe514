"""The jobs this worker knows: each from the moment it is accepted until its results have lived their time."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import SystemRandom

from worker.admission import Load, Pace, admit
from worker.errors import Draining, IdTaken, InvalidField, JournalUnavailable, NotFound, NothingToDeliver
from worker.events import JobAccepted, JobForgotten
from worker.graph.prompt import draw_random_integers
from worker.job import ENDS, Job, JobRequest, JobState, OutputMode
from worker.journal import Journal
from worker.pipeline import Pipeline
from worker.settings import Settings
from worker.shelf import Key, Shelf

MIB = 1024 * 1024
KEY = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)
MAX_RESULTS = 10_000
"""Ended jobs that are kept, however young: their records take memory."""


@dataclass(slots=True)
class Entry:
    job: Job
    task: asyncio.Task[None] | None = None
    recorded: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once the job is written down, needs no writing down, or could not be (it has ended with the error then)."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    hangup: asyncio.TimerHandle | None = None


class Registry:
    """Keyed by (principal, id): an id means nothing to anybody but the one who chose or was given it."""

    def __init__(self, pipeline: Pipeline, journal: Journal, settings: Settings) -> None:
        self._pipeline = pipeline
        self._journal = journal
        self._settings = settings
        self._entries: dict[tuple[str, str], Entry] = {}
        self._by_token: dict[str, Job] = {}
        self._shelf = Shelf(self._forget, most=MAX_RESULTS, room=settings.outputs_quota * MIB)
        self._cleaning: set[asyncio.Task[None]] = set()
        self.load = Load()
        self.pace = Pace()
        self.draining = False

    def restore(self) -> None:
        """Take up what an earlier life of this worker left: results are served, jobs somebody waits for are run."""
        now = time.time()
        for kept in self._journal.jobs():
            job = kept.job
            if kept.ended_at is not None:
                entry = self._add(job)
                entry.recorded.set()
                entry.ended.set()
                self._keep(job, kept.ended_at + self._settings.result_ttl_s - now)
            elif job.collectable:
                job.detached = True  # who waited is gone, and comes back or doesn't
                self._start(job)
            else:
                self._pipeline.observers.notify(JobForgotten(job))

    def admit(self) -> None:
        """Raises WorkerBusy or Draining where another job would not be accepted now."""
        if self.draining:
            raise Draining("this worker is shutting down")
        admit(self.load, self._settings.max_queue, self.pace)

    async def accept(
        self, request: JobRequest, workload: float, principal: str = "local", *, collectable: bool = False
    ) -> Job:
        """Start a job, or find the one that the same request started under the same id.

        It is written down before this returns, if anybody could ask for it later: by an id of his own, or because he
        will be given id and token (`collectable`). Raises InvalidField, IdTaken, WorkerBusy, Draining,
        JournalUnavailable.
        """
        entry = self.known(request, principal)
        if entry is None:
            self.admit()
            prompt = draw_random_integers(request.prompt, SystemRandom())  # now, so that a second try is the same job
            job = Job(
                request.key or secrets.token_hex(16),
                replace(request, prompt=prompt),
                principal,
                workload,
                collectable=collectable or request.key is not None or request.webhook is not None,
                detached=request.webhook is not None,
            )
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
            await self._write_down(job)

    def count(self, *states: JobState) -> int:
        """How many jobs are in one of these states."""
        return sum(entry.job.state in states for entry in self._entries.values())

    def find(self, job_id: str, token: str) -> Job:
        """Raises NotFound alike for a job that does not exist and for one whose token this is not."""
        job = self._by_token.get(token)  # of 192 random bits: how long the search takes tells nothing
        if job is None or job.id != job_id:
            raise NotFound(f"no job {job_id!r}")
        return job

    def owned(self, job_id: str, principal: str) -> Job:
        """Raises NotFound alike for a job that does not exist and for another's."""
        entry = self._entries.get((principal, job_id))
        if entry is None:
            raise NotFound(f"no job {job_id!r}")
        return entry.job

    async def ended(self, job: Job) -> None:
        """Wait for the job's end."""
        await self._entry(job).ended.wait()

    @asynccontextmanager
    async def waiting(self, job: Job) -> AsyncIterator[None]:
        """Count a client that waits for the job. When the last one has gone for a while, the job is cancelled.

        Unless somebody may come back for it: by an id of his own, or because he was told to (`detached`).
        """
        entry = self._entry(job)
        job.waiters += 1
        if entry.hangup:
            entry.hangup.cancel()
        try:
            yield
        finally:
            job.waiters -= 1
            if not (job.waiters or job.detached or job.request.key or job.state.ended):
                loop = asyncio.get_running_loop()
                entry.hangup = loop.call_later(self._settings.hangup_grace_s, self._hang_up, entry)

    async def cancel(self, job: Job) -> bool:
        """Cancel and wait until ComfyUI has let go of it. False when it had ended already."""
        task = self._entry(job).task
        if task is None or job.state.ended:
            return False
        task.cancel()
        await self.ended(job)
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
            job.request = replace(
                job.request, output_mode=wish.output_mode, target=wish.target, own_target=wish.own_target
            )
        entry = self._entry(job)
        entry.ended.clear()
        self._shelf.take((job.principal, job.id))
        entry.task = asyncio.create_task(self._pipeline.deliver_again(job, self._timeout_s(job)))
        entry.task.add_done_callback(lambda _: self._rest(entry))

    async def close(self, drain_s: float = 0.0) -> None:
        """Accept nothing more, wait for running jobs at most `drain_s`, hand back the rest.

        What is handed back ends here with Draining, and goes on in the next life if somebody can come back for it.
        """
        self.draining = True
        running = {entry.task: entry.job for entry in self._entries.values() if entry.task and not entry.task.done()}
        if running and drain_s:
            await asyncio.wait(running, timeout=drain_s)
        for task, job in running.items():
            job.handed_back = not task.done()
            task.cancel()
        await asyncio.gather(*running, *self._cleaning, return_exceptions=True)
        self._shelf.close()

    def known(self, request: JobRequest, principal: str) -> Entry | None:
        """What an earlier request with the same id has started. Raises InvalidField, IdTaken."""
        if request.key is None:
            return None
        if not KEY.fullmatch(request.key):
            raise InvalidField("an id has 1 to 128 letters, digits or any of . : @ + - _")
        entry = self._entries.get((principal, request.key))
        if entry is not None and entry.job.request.fingerprint != request.fingerprint:
            raise IdTaken(f"the id {request.key!r} belongs to another request")
        return entry

    def _entry(self, job: Job) -> Entry:
        return self._entries[job.principal, job.id]

    def _add(self, job: Job) -> Entry:
        entry = self._entries[job.principal, job.id] = Entry(job)
        self._by_token[job.token] = job
        return entry

    def _start(self, job: Job) -> Entry:
        self.load = Load(self.load.jobs + 1, self.load.workload + job.workload)
        self._pipeline.observers.notify(JobAccepted(job))
        entry = self._add(job)
        if not _kept(job):
            entry.recorded.set()
        entry.task = asyncio.create_task(self._live(entry), name=f"job-{job.id}")
        entry.task.add_done_callback(lambda _: self._end(entry))
        return entry

    async def _live(self, entry: Entry) -> None:
        job = entry.job
        if _kept(job):
            try:
                await self._write_down(job)
            except JournalUnavailable as error:
                self._pipeline.refuse(job, error)
                return
        entry.recorded.set()
        await self._pipeline.run(job, self._timeout_s(job))

    def _timeout_s(self, job: Job) -> float:
        return job.request.timeout_s or self._settings.job_timeout_s

    async def _write_down(self, job: Job) -> None:
        if job.request.inputs:
            await asyncio.to_thread(self._journal.keep_inputs, job)
        self._journal.accepted(job)

    def _end(self, entry: Entry) -> None:
        job = entry.job
        if not job.state.ended:
            self._pipeline.refuse(job)
        self.load = Load(self.load.jobs - 1, self.load.workload - job.workload)
        if job.state is JobState.COMPLETED:
            self.pace.learn(job.workload, job.stages.get(JobState.GENERATING, 0.0))
        entry.recorded.set()
        self._rest(entry)

    def _rest(self, entry: Entry) -> None:
        """Nothing more happens to the job by itself."""
        if entry.hangup:
            entry.hangup.cancel()
        if not entry.job.handed_back:
            self._clean(entry.job)
        self._keep(entry.job, self._settings.result_ttl_s)
        entry.ended.set()

    def _keep(self, job: Job, life_s: float) -> None:
        size = self._pipeline.outputs.size(job) if job.outputs else 0
        self._shelf.put((job.principal, job.id), life_s, size)

    def _clean(self, job: Job) -> None:
        """The body may be large, and nobody asks for it again. Credentials go when they have done their work."""
        if job.request.inputs:
            self._later(asyncio.to_thread(self._journal.drop_inputs, job))
        job.request = replace(job.request, prompt={}, inputs=())
        if job.state in ENDS:
            job.request = replace(job.request, target=None, webhook=None)
        self._later(self._pipeline.inputs.remove(job))

    def _hang_up(self, entry: Entry) -> None:
        if entry.task and not entry.job.waiters:
            entry.task.cancel()

    def _forget(self, key: Key) -> None:
        job = self._entries.pop(key).job
        del self._by_token[job.token]
        self._later(self._pipeline.outputs.remove(job))
        self._pipeline.observers.notify(JobForgotten(job))

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)


def _kept(job: Job) -> bool:
    """Whether a job is written down: nobody can ask again for a picture that was sent inline to a client without id."""
    return job.collectable or job.request.output_mode is OutputMode.URL
