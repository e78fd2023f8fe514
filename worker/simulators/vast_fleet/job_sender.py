"""Sends the jobs of a trace through Vast's own client, each when it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from worker.fleet.simulation.trace import TraceJob
from worker.platforms.vast.client import VastEndpoint
from worker.simulators.vast_fleet.job_prompt import job_prompt
from worker.simulators.vast_fleet.played_job import PlayedJob
from worker.simulators.vast_fleet.trace_clock import TraceClock
from worker.simulators.vast_router.worker_pool import WorkerPool
from worker.workflow.prompt import Prompt

POLL_S = 0.1
"""Real seconds between two requests of a client to the router, except the first two. The shortest that it allows."""
BEFORE, AFTER = ("queued_ms", "preparing_ms", "waiting_ms"), ("generating_ms", "delivering_ms")


@dataclass(slots=True)
class JobSender:
    """The client of a replay. `played` are the served jobs in the order of their ends, `failures` the other answers."""

    endpoint: VastEndpoint
    pool: WorkerPool
    clock: TraceClock
    gpu_speed: float
    played: list[PlayedJob] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def send_all(self, jobs: Sequence[TraceJob], prompts: Sequence[Prompt]) -> None:
        """Send every job at its time, and return when all have their answers."""
        async with asyncio.TaskGroup() as tasks:
            for job, prompt in zip(jobs, prompts, strict=True):
                await self.clock.sleep_until(job.at_s)
                tasks.create_task(self._send(job, prompt))

    async def _send(self, job: TraceJob, prompt: Prompt) -> None:
        """Send one job and record what happened to it."""
        sent_s = self.clock.now_s
        try:
            answer = await self.endpoint.generate({"workflow": prompt}, job.units)
        except RuntimeError as error:
            self.failures.append(str(error))
            return
        ended_s = self.clock.now_s
        if answer.status != 200:
            self.failures.append(f"HTTP {answer.status}: {answer.body}")
            return
        timings = answer.body["metadata"]["timings"]
        delivering_s = self._seconds(timings, "delivering_ms")
        generating_s = self._seconds(timings, "generating_ms")
        started_s = ended_s - delivering_s - generating_s
        entered_s = started_s - self._seconds(timings, *BEFORE)
        self.played.append(
            PlayedJob(
                job,
                job.seconds / self.gpu_speed,
                sent_s,
                entered_s,
                started_s,
                ended_s - delivering_s,
                self._number(answer.worker),
            )
        )

    def _seconds(self, timings: Mapping[str, Any], *names: str) -> float:
        """Return the sum of these times of a response, in seconds of the trace."""
        return sum(float(timings[name]) for name in names) / 1000 * self.clock.speed

    def _number(self, url: str) -> int:
        """Return the number of the worker with this URL, or 0 if it has ended."""
        port = urlsplit(url).port
        members = self.pool.members.items()
        return next((number for number, member in members if urlsplit(member.status.url).port == port), 0)
