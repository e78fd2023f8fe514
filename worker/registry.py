"""The jobs this worker knows: each from the moment it is accepted until its results have lived their time."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from worker.admission import Load, Pace, admit
from worker.errors import Draining, IdTaken, InvalidField, NotFound
from worker.events import JobAccepted, JobForgotten
from worker.job import Job, JobRequest, JobState
from worker.pipeline import Pipeline
from worker.settings import Settings

KEY = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)
MAX_RESULTS = 10_000
"""Ended jobs that are kept, however young: their records take memory, their outputs disk."""


@dataclass(slots=True)
class Entry:
    job: Job
    task: asyncio.Task[None]
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    hangup: asyncio.TimerHandle | None = None


class Registry:
    """Keyed by (principal, id): an id means nothing to anybody but the one who chose or was given it."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self._pipeline = pipeline
        self._settings = settings
        self._entries: dict[tuple[str, str], Entry] = {}
        self._ended: deque[tuple[float, tuple[str, str]]] = deque()
        self._removing: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self.load = Load()
        self.pace = Pace()
        self.draining = False

    def admit(self) -> None:
        """Raises WorkerBusy or Draining where another job would not be accepted now."""
        if self.draining:
            raise Draining("this worker is shutting down")
        admit(self.load, self._settings.max_queue, self.pace)

    def accept(self, request: JobRequest, workload: float, principal: str = "local") -> Job:
        """Start a job, or find the one that the same request started under the same id.

        Raises InvalidField, IdTaken, WorkerBusy, Draining.
        """
        if request.key is not None and not KEY.fullmatch(request.key):
            raise InvalidField("an id has 1 to 128 letters, digits or any of . : @ + - _")
        known = self._entries.get((principal, request.key)) if request.key else None
        if known is not None:
            if known.job.request.fingerprint != request.fingerprint:
                raise IdTaken(f"the id {request.key!r} belongs to another request")
            return known.job
        self.admit()
        job = Job(request.key or secrets.token_hex(16), request, principal, workload)
        self._start(job)
        return job

    def count(self, *states: JobState) -> int:
        """How many jobs are in one of these states."""
        return sum(entry.job.state in states for entry in self._entries.values())

    def find(self, job_id: str, token: str, principal: str = "local") -> Job:
        """Raises NotFound alike for a job that does not exist and for one whose token this is not."""
        entry = self._entries.get((principal, job_id))
        if entry is None or not secrets.compare_digest(entry.job.token.encode(), token.encode()):
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
        try:
            yield
        finally:
            job.waiters -= 1
            if not (job.waiters or job.detached or job.request.key or job.state.ended):
                loop = asyncio.get_running_loop()
                entry.hangup = loop.call_later(self._settings.hangup_grace_s, self._hang_up, entry)

    async def cancel(self, job: Job) -> bool:
        """Cancel and wait until ComfyUI has let go of it. False when it had ended already."""
        if job.state.ended:
            return False
        self._entry(job).task.cancel()
        await self.ended(job)
        return job.state is JobState.CANCELLED

    async def close(self, drain_s: float = 0.0) -> None:
        """Accept nothing more, wait for running jobs at most `drain_s`, cancel the rest."""
        self.draining = True
        tasks = [entry.task for entry in self._entries.values() if not entry.task.done()]
        if tasks and drain_s:
            await asyncio.wait(tasks, timeout=drain_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, *self._removing, return_exceptions=True)
        if self._sweeper:
            self._sweeper.cancel()

    def _entry(self, job: Job) -> Entry:
        return self._entries[job.principal, job.id]

    def _start(self, job: Job) -> None:
        self.load = Load(self.load.jobs + 1, self.load.workload + job.workload)
        self._pipeline.observers.notify(JobAccepted(job))
        timeout_s = job.request.timeout_s or self._settings.job_timeout_s
        entry = Entry(job, asyncio.create_task(self._pipeline.run(job, timeout_s), name=f"job-{job.id}"))
        self._entries[job.principal, job.id] = entry
        entry.task.add_done_callback(lambda _: self._end(entry))

    def _end(self, entry: Entry) -> None:
        job = entry.job
        if not job.state.ended:
            self._pipeline.cancelled_unstarted(job)
        self.load = Load(self.load.jobs - 1, self.load.workload - job.workload)
        if job.state is JobState.COMPLETED:
            self.pace.learn(job.workload, job.stages.get(JobState.GENERATING, 0.0))
        if entry.hangup:
            entry.hangup.cancel()
        # The body may be large, and nobody asks for it again.
        job.request = replace(job.request, prompt={}, inputs=())
        self._later(self._pipeline.inputs.remove(job))
        self._ended.append((time.monotonic() + self._settings.result_ttl_s, (job.principal, job.id)))
        entry.ended.set()
        self._sweep()

    def _hang_up(self, entry: Entry) -> None:
        if not entry.job.waiters:
            entry.task.cancel()

    def _sweep(self) -> None:
        """Forget the results whose time is over, or that are too many; come back when the next one's is."""
        now = time.monotonic()
        while self._ended and (self._ended[0][0] <= now or len(self._ended) > MAX_RESULTS):
            _, key = self._ended.popleft()
            job = self._entries.pop(key).job
            self._later(self._pipeline.outputs.remove(job))
            self._pipeline.observers.notify(JobForgotten(job))
        if self._sweeper:
            self._sweeper.cancel()
            self._sweeper = None
        if self._ended:
            self._sweeper = asyncio.get_running_loop().call_later(self._ended[0][0] - now, self._sweep)

    def _later(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._removing.add(task)
        task.add_done_callback(self._removing.discard)
