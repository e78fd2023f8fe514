"""Progress updates of a job: in order, not too often, and never after its result (R11)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from worker.app import App
from worker.intake.job_responses import STARTED_STATES, progress
from worker.job import Job
from worker.platforms.runpod.queue.queue_client import NO_ANSWER, QueueClient
from worker.platforms.runpod.queue.result_body import progress_body

log = logging.getLogger(__name__)

SHORTEST_S = 1.0
"""Shortest time between two updates of a job."""


@dataclass(frozen=True, slots=True)
class ProgressUpdates:
    """Sends the progress of jobs. `every_s` is the time between two updates of a job, 0 for none."""

    app: App
    client: QueueClient
    every_s: float

    @asynccontextmanager
    async def running(self, job: Job) -> AsyncIterator[None]:
        """Send updates while the context lasts. Leaving it waits for the answer to the last one."""
        if not self.every_s:
            yield
            return
        ended = asyncio.Event()
        task = self.app.tasks.spawn(f"progress-{job.id}", self._send_until(ended, job))
        try:
            yield
        finally:
            ended.set()
            await asyncio.wait({task})

    async def _send_until(self, ended: asyncio.Event, job: Job) -> None:
        """Send an update whenever the progress has changed, one after the other."""
        last = b""
        while not await _is_set_within(ended, max(self.every_s, SHORTEST_S)):
            body = progress_body(self._progress(job), streamed=self.client.streams)
            if body == last or job.state.ended:
                continue
            with suppress(*NO_ANSWER):  # the next update has newer facts
                await self.client.send_progress(job.id, body)
                last = body

    def _progress(self, job: Job) -> dict[str, object]:
        """Return the state of a job, the node that runs and its step, and the seconds until the run ends."""
        position = 0 if job.state in STARTED_STATES else self.app.engines.position(job)
        return {**progress(job, position), **self.app.intake.responses.eta(job)}


async def _is_set_within(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event for at most `timeout_s` seconds, and return whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    return event.is_set()
