"""Sends the jobs of a trace through Vast's own client, each when it arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from worker.fleet.simulation.trace import TraceJob
from worker.simulators.vast_fleet.played_job import PlayedJob
from worker.simulators.vast_fleet.trace_clock import TraceClock
from worker.simulators.vast_router import LocalVast
from worker.workflow.prompt import Prompt

if TYPE_CHECKING:
    from vastai.serverless.client.endpoint import Endpoint

POLL_S = 0.1
"""Real seconds between two requests of a client to the router, except the first two. The shortest that it allows."""
BEFORE = ("queued_ms", "preparing_ms", "waiting_ms")
"""Times of a job in the worker before ComfyUI runs it."""


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A job of the trace, its prompt, and the seconds that its sampler and the loader of its model will run."""

    job: TraceJob
    prompt: Prompt
    seconds: float
    load_s: float = 0.0


@dataclass(slots=True)
class TraceSender:
    """The client of a replay. `played` are the served jobs in the order of their ends, `failures` the other answers."""

    vast: LocalVast
    endpoint: Endpoint
    clock: TraceClock
    played: list[PlayedJob] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def send_all(self, jobs: Sequence[PreparedJob]) -> None:
        """Send every job at its time, and return when all have their answers."""
        async with asyncio.TaskGroup() as tasks:
            for index, prepared in enumerate(jobs):
                await self.clock.sleep_until(prepared.job.at_s)
                tasks.create_task(self._send(index, prepared))

    async def _send(self, index: int, prepared: PreparedJob) -> None:
        """Send one job and record what happened to it."""
        sent_s = self.clock.now_s
        try:
            answer = await self.endpoint.request(
                "/generate/sync", {"workflow": prepared.prompt}, cost=prepared.job.units
            )
        except RuntimeError as error:  # the router has refused the request
            self.failures.append(str(error))
            return
        answered_s = self.clock.now_s
        if answer["status"] != 200:
            self.failures.append(f"HTTP {answer['status']}: {answer['response']}")
            return
        timings = answer["response"]["metadata"]["timings"]
        ended_s = answered_s - self._seconds(timings, "delivering_ms")
        started_s = ended_s - self._seconds(timings, "generating_ms")
        container_ids = [worker for request, worker in self.vast.record.routed if request == answer["request_idx"]]
        self.played.append(
            PlayedJob(
                index=index,
                kind=prepared.job.kind,
                seconds=prepared.seconds,
                load_s=prepared.load_s,
                sent_s=sent_s,
                entered_s=started_s - self._seconds(timings, *BEFORE),
                started_s=started_s,
                ended_s=ended_s,
                worker=container_ids[-1] - 1,
                attempts=len(container_ids),
            )
        )

    def _seconds(self, timings: Mapping[str, Any], *names: str) -> float:
        """Return the sum of these times of an answer, in seconds of the trace."""
        return sum(float(timings[name]) for name in names) / 1000 * self.clock.speed


@asynccontextmanager
async def open_sender(vast: LocalVast, clock: TraceClock) -> AsyncIterator[TraceSender]:
    """Yield a sender whose client polls the router as often as it can. The router holds its requests."""
    from vastai.serverless.client.client import Serverless

    client = Serverless(api_key=vast.api_key, autoscaler_url=vast.url, webserver_url=vast.url, max_poll_interval=POLL_S)
    client.SSL_CERT_URL = f"{vast.url}/root.pem"
    async with client:
        yield TraceSender(vast, await client.get_endpoint(vast.endpoint), clock)
