"""Cancellation of a job, with a bounded wait for a node that ignores the interrupt."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from worker.engine.pool import EnginePool
from worker.job import Job, JobState
from worker.jobs.manager import JobManager

MOST_WAIT_S = 10.0
"""Seconds that a request to cancel waits for a node that goes on."""


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Result of a cancellation.

    `cancelled` is false for a job that had ended before. `stopping` is true while a node of it still runs.
    """

    cancelled: bool
    stopping: bool


async def cancel(manager: JobManager, engines: EnginePool, job: Job, node_stop_s: float) -> Cancellation:
    """Cancel a job, and wait until ComfyUI has stopped it or, for a call of a handler, its prompts.

    The wait is at most 10 s, or `node_stop_s` if that is less.
    """
    had_ended, stopping = job.state.ended, False
    try:
        async with asyncio.timeout(min(MOST_WAIT_S, node_stop_s)):
            await manager.cancel(job)
            for ended in (job, *manager.job_index.children_of(job)):
                await engines.wait_until_free_of(ended.ref)
    except TimeoutError:
        stopping = True
    return Cancellation(job.state is JobState.CANCELLED and not had_ended, stopping)
