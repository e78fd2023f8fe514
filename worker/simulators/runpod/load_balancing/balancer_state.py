"""What the parts of a simulated load balancer share, and the health checks that keep it up to date."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from worker.simulators.runpod.assumptions import RunpodAssumptions
from worker.simulators.runpod.call_log import RunpodCallLog
from worker.simulators.runpod.endpoint_state import EndpointChanges, EndpointKeys
from worker.simulators.runpod.load_balancing.routing import BalancedWorker, HealthState


@dataclass(slots=True)
class BalancerState:
    """One load-balancing endpoint. `waiting` is the number of requests that wait for a worker.

    `resume` starts a worker again that was scaled down, and returns whether it exists.
    """

    endpoint: str
    assumptions: RunpodAssumptions
    keys: EndpointKeys = field(default_factory=EndpointKeys)
    workers: dict[str, BalancedWorker] = field(default_factory=dict)
    calls: RunpodCallLog = field(default_factory=RunpodCallLog)
    changes: EndpointChanges = field(default_factory=EndpointChanges)
    waiting: int = 0
    resume: Callable[[str], bool] = lambda _: False

    @property
    def ready(self) -> int:
        """The number of workers that get requests."""
        return sum(worker.state is HealthState.READY for worker in self.workers.values())

    @property
    def open_requests(self) -> int:
        """The number of requests that workers have."""
        return sum(worker.open_requests for worker in self.workers.values())


async def check_health(session: aiohttp.ClientSession, worker: BalancedWorker, state: BalancerState) -> None:
    """Ask for the health of a worker, again and again, until it is removed."""
    while state.workers.get(worker.id) is worker:
        status = await _health(session, worker.health_url, state.assumptions.health_timeout_s)
        worker.note_health(status, time.monotonic())
        state.changes.notify()
        await asyncio.sleep(state.assumptions.health_poll_s)


async def _health(session: aiohttp.ClientSession, url: str, timeout_s: float) -> int | None:
    """Return the status of a health check, None without a response in time."""
    try:
        async with session.get(url, timeout=aiohttp.ClientTimeout(total=timeout_s)) as response:
            return response.status
    except (aiohttp.ClientError, TimeoutError):
        return None
