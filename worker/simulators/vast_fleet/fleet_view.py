"""What the policy of a replay sees: the reports of the workers and the router's queue, in the trace's time."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.policy import FleetView
from worker.simulators.vast_fleet.played_worker import PlayedWorker
from worker.simulators.vast_fleet.scaling import is_starting
from worker.simulators.vast_fleet.trace_clock import TraceClock
from worker.simulators.vast_router.router import Router
from worker.simulators.vast_router.worker_pool import PoolMember


@dataclass(slots=True)
class FleetObserver:
    """Builds the view of each decision. `worker_perf` is that of a worker until one is ready."""

    router: Router
    clock: TraceClock
    worker_perf: float
    _waiting_load: float = 0.0
    _reported: float = 0.0

    def view(self, workers: Sequence[PlayedWorker]) -> FleetView:
        """Return the state of the fleet now. It is asked once for each decision."""
        now = time.monotonic()
        ready = [worker for worker in workers if worker.state is LifeState.READY]
        members = self._members(ready)
        waiting = self.router.waiting.present(now)
        if members:
            perf = sum(member.status.max_perf for member in members) / len(members)
            self.worker_perf = perf / self.clock.speed
        waiting_load = sum(request.cost for request in waiting)
        spares = sum(worker.is_booting and worker.is_spare for worker in workers)
        return FleetView(
            now_s=self.clock.at(now),
            ready=len(ready),
            starting=sum(map(is_starting, workers)),
            inactive=sum(worker.state is LifeState.INACTIVE for worker in workers) + spares,
            worker_perf=self.worker_perf,
            new_load=self._new_load(waiting_load),
            current_load=sum(member.load for member in members),
            waiting_load=waiting_load,
            waiting=len(waiting),
            oldest_wait_s=max((now - request.since for request in waiting), default=0.0) * self.clock.speed,
            in_progress=sum(member.requests for member in self._members(workers)),
            idle_s=self._idle_s(ready, now),
        )

    def _members(self, workers: Sequence[PlayedWorker]) -> list[PoolMember]:
        """Return what the router knows of workers."""
        members = self.router.fleet.members
        return [members[worker.container_id] for worker in workers if worker.container_id in members]

    def _new_load(self, waiting_load: float) -> float:
        """Return what the workers have reported since the last call, and the growth of the load that waits."""
        reported = self.router.fleet.reported
        new_load = reported - self._reported + waiting_load - self._waiting_load
        self._reported, self._waiting_load = reported, waiting_load
        return new_load

    def _idle_s(self, ready: Sequence[PlayedWorker], now: float) -> tuple[float, ...]:
        """Return how long the ready workers without a job have had none, longest first."""
        idle = []
        for worker in ready:
            member = self.router.fleet.members.get(worker.container_id)
            if member is not None and member.idle_since is not None:
                since_s = max(worker.since_s, self.clock.at(member.idle_since))
                idle.append(self.clock.at(now) - since_s)
        return tuple(sorted(idle, reverse=True))
