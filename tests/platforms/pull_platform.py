"""A complete pull platform: jobs come from a queue in memory, and each result is sent back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from worker.app import App, build
from worker.errors import WorkerError
from worker.intake import Caller
from worker.job import Job
from worker.platforms.base import Authenticator, Detection, Platform, Traits
from worker.settings import Settings

ENDPOINT = "PULL_ENDPOINT_ID"
AT_ONCE = 2
UNAVAILABLE = 503
Body = Mapping[str, Any]


@dataclass
class PullQueue:
    """The platform's side: waiting jobs, jobs to stop, and the workers' responses and reports."""

    jobs: asyncio.Queue[tuple[str, Body]] = field(default_factory=asyncio.Queue)
    stops: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    answers: dict[str, asyncio.Future[tuple[int, Body]]] = field(default_factory=dict)
    running: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    failures: list[str] = field(default_factory=list)

    def send(self, job_id: str, body: Body) -> asyncio.Future[tuple[int, Body]]:
        """Put a job into the queue and return its future answer."""
        self.answers[job_id] = asyncio.get_running_loop().create_future()
        self.jobs.put_nowait((job_id, body))
        return self.answers[job_id]


class PullPlatform(Platform):
    """A platform that clients reach only through its queue. It kills a worker three seconds after a stop request."""

    name = "pull"
    traits = Traits(
        max_response_bytes=1_000_000,
        output_urls=False,
        job_urls=False,
        drain_s=3.0,
        authenticates=Authenticator.PLATFORM,
    )

    def __init__(self, queue: PullQueue) -> None:
        self._queue = queue
        self._jobs: dict[str, Job] = {}
        self._running: set[asyncio.Task[None]] = set()

    def detect(self, environ: Mapping[str, str]) -> Detection:
        found = bool(environ.get(ENDPOINT))
        return Detection(found, f"{ENDPOINT} is {'set' if found else 'not set'}")

    def report_failure(self, message: str, environ: Mapping[str, str]) -> None:
        self._queue.failures.append(message)

    async def serve(self, settings: Settings, environ: Mapping[str, str]) -> None:
        async with build(settings, traits=self.traits) as app:
            app.tasks.start("pull-stops", partial(self._stop_jobs, app))
            try:
                async with app.draining():
                    await app.ready()
                    await self._take_jobs(app)
            finally:
                await asyncio.gather(*self._running)  # their answers are posted, or they are given back

    async def _take_jobs(self, app: App) -> None:
        room = asyncio.Semaphore(AT_ONCE)
        while True:
            await room.acquire()
            job_id, body = await self._queue.jobs.get()
            task = app.tasks.spawn(f"pull-{job_id}", self._run(app, job_id, body))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            task.add_done_callback(lambda _: room.release())

    async def _run(self, app: App, job_id: str, body: Body) -> None:
        try:
            async with app.intake.body(_chunks(body)) as scanned:
                job = self._jobs[job_id] = await app.intake.submit(scanned, Caller(self.name, repeat_key=job_id))
        except WorkerError as error:
            self._post(job_id, body, error.status, {"error": error.as_dict()})
            return
        async with app.manager.count_waiter(job):
            self._queue.running.put_nowait(job_id)
            await app.manager.wait_for_end(job)
        status, answer = await app.intake.response(self._jobs.pop(job_id))
        self._post(job_id, body, status, orjson.loads(await answer.json()))

    def _post(self, job_id: str, body: Body, status: int, answer: Body) -> None:
        """Answer a job. One that this worker could not run goes back into the queue, for another worker."""
        if status == UNAVAILABLE:
            self._queue.jobs.put_nowait((job_id, body))
        else:
            self._queue.answers[job_id].set_result((status, answer))

    async def _stop_jobs(self, app: App) -> None:
        while True:
            if job := self._jobs.get(await self._queue.stops.get()):
                await app.cancel(job)


async def _chunks(body: Body) -> AsyncIterator[bytes]:
    yield orjson.dumps(body)
