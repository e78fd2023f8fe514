"""What the policy of a replay sees: the reports of the workers and the router's queue, in the trace's time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from worker.fleet.simulation.policy import FleetView
from worker.simulators.vast_fleet.played_worker import PlayedWorker, WorkerStage
from worker.simulators.vast_fleet.trace_clock import TraceClock
from worker.simulators.vast_router.router import Router
from worker.simulators.vast_router.worker_pool import PoolMember


@dataclass(slots=True)
class FleetObserver:
    """Builds a view for each decision. `worker_perf` is that of a worker until one has reported its speed."""

    router: Router
    clock: TraceClock
    worker_perf: float
    _arrived: float = 0.0

    def view(self, workers: Sequence[PlayedWorker]) -> FleetView:
        """Return the state of the fleet now."""
        now = time.monotonic()
        stages = [worker.stage for worker in workers]
        members = self.members(workers)
        waiting = self.router.waiting.present(now)
        arrived, self._arrived = self.router.arrived - self._arrived, self.router.arrived
        if members:
            perf = sum(member.status.max_perf for member in members) / len(members)
            self.worker_perf = perf / self.clock.speed
        return FleetView(
            now_s=self.clock.at(now),
            ready=stages.count(WorkerStage.READY),
            starting=stages.count(WorkerStage.STARTING),
            inactive=stages.count(WorkerStage.INACTIVE),
            worker_perf=self.worker_perf,
            new_load=arrived,
            current_load=sum(member.load for member in members),
            waiting_load=sum(request.cost for request in waiting),
            waiting=len(waiting),
            oldest_wait_s=max((now - request.since for request in waiting), default=0.0) * self.clock.speed,
            in_progress=sum(member.requests for member in members),
            idle_s=self._idle_s(workers, now),
        )

    def members(self, workers: Sequence[PlayedWorker]) -> list[PoolMember]:
        """Return what the router knows of the ready workers."""
        pool = self.router.fleet.members
        ready = [worker.number for worker in workers if worker.stage is WorkerStage.READY]
        return [pool[number] for number in ready if number in pool]

    def _idle_s(self, workers: Sequence[PlayedWorker], now: float) -> tuple[float, ...]:
        """Return how long the ready workers without a job have had none, longest first."""
        pool, now_s = self.router.fleet.members, self.clock.at(now)
        idle = []
        for worker in workers:
            member = pool.get(worker.number)
            if worker.stage is WorkerStage.READY and member is not None and member.idle_since is not None:
                idle.append(now_s - max(worker.ready_at_s, self.clock.at(member.idle_since)))
        return tuple(sorted(idle, reverse=True))
