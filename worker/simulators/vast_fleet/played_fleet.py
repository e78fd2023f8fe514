"""A fleet whose workers are real processes, started and stopped by a policy."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from worker.fleet.simulation.policy import FleetTarget, FleetView, ScalingPolicy
from worker.simulators.vast_fleet.fleet_view import FleetObserver
from worker.simulators.vast_fleet.played_worker import PlayedWorker, WorkerHost, WorkerStage
from worker.simulators.vast_fleet.replay_setup import ReplaySetup
from worker.simulators.vast_fleet.scaling import changes, stop_order
from worker.simulators.vast_fleet.trace_clock import TraceClock

READY_TIMEOUT_S, POLL_S = 120.0, 0.05
"""Real seconds in which the first workers have to be ready, and between two looks at them."""


@dataclass(slots=True)
class PlayedFleet:
    """The workers, and the views of all decisions in order."""

    host: WorkerHost
    setup: ReplaySetup
    clock: TraceClock
    workers: list[PlayedWorker] = field(default_factory=list)
    views: list[FleetView] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def create(self, boot_s: float) -> None:
        """Create a worker, which takes requests in `boot_s` seconds of the trace."""
        worker = PlayedWorker(len(self.workers) + 1)
        self.workers.append(worker)
        self._start(worker, boot_s)

    async def wait_until_ready(self) -> None:
        """Wait until no worker is starting. Raises TimeoutError."""
        async with asyncio.timeout(READY_TIMEOUT_S):
            while any(worker.stage is WorkerStage.STARTING for worker in self.workers):
                await asyncio.sleep(POLL_S)

    def begin(self) -> None:
        """Start the clock of the trace. The workers that are ready count as idle from now on."""
        self.clock = TraceClock(self.setup.speed)
        for worker in self.workers:
            worker.ready_at_s = worker.late_s = 0.0

    async def follow(self, policy: ScalingPolicy) -> None:
        """Ask the policy every `tick_s` seconds of the trace, and do what it wants. Never returns."""
        observer = FleetObserver(self.host.vast.router, self.clock, self.setup.gpu_speed)
        for tick in itertools.count(1):
            await self.clock.sleep_until(tick * policy.tick_s)
            view = observer.view(self.workers)
            self.views.append(view)
            self.apply(policy.decide(view))

    def apply(self, target: FleetTarget) -> None:
        """Start and stop workers, so that there are as many as the target says."""
        members = self.host.vast.router.fleet.members
        active = [worker for worker in self.workers if worker.is_active]
        loads = [members[worker.number].load if worker.number in members else 0.0 for worker in active]
        inactive = [worker for worker in self.workers if worker.stage is WorkerStage.INACTIVE]
        plan = changes(target, stop_order(active, loads), inactive)
        for worker in plan.stop:
            worker.stop()
        for worker in plan.wake:
            self._start(worker, self.setup.wake_s)
        for worker in plan.destroy:
            worker.stage = WorkerStage.ENDED
            shutil.rmtree(self.host.state(worker.number), ignore_errors=True)
        for _ in range(plan.create):
            self.create(self.setup.boot_s)

    async def close(self) -> None:
        """Stop all processes, and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, worker: PlayedWorker, boot_s: float) -> None:
        """Start the process of a worker."""
        worker.stage = WorkerStage.STARTING
        task = asyncio.create_task(worker.live(self.host, self.clock, boot_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def start_played_fleet(host: WorkerHost, setup: ReplaySetup) -> AsyncIterator[PlayedFleet]:
    """Yield a fleet whose first workers are ready, and stop all of its processes at the end. Raises TimeoutError."""
    fleet = PlayedFleet(host, setup, TraceClock(setup.speed))
    try:
        for _ in range(setup.first_workers):
            fleet.create(0.0)
        await fleet.wait_until_ready()
        yield fleet
    finally:
        await fleet.close()
