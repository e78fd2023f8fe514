"""A fleet whose workers are real processes, started and stopped by a policy."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from worker.errors import StartupError
from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.outcome import FleetSample
from worker.fleet.simulation.platform import BootTimes
from worker.fleet.simulation.policy import FleetTarget, FleetView, ScalingPolicy
from worker.simulators.vast_fleet.fleet_view import FleetObserver
from worker.simulators.vast_fleet.played_worker import BootPlan, PlayedWorker
from worker.simulators.vast_fleet.scaling import FleetChanges, active_changes, removable
from worker.simulators.vast_fleet.trace_clock import TraceClock
from worker.simulators.vast_fleet.worker_host import WorkerHost

READY_TIMEOUT_S = 120.0
"""Real seconds in which the first workers have to be ready."""
AT_ONCE = BootPlan(LifeState.CREATING, 0.0)


@dataclass(slots=True)
class PlayedFleet:
    """The workers, and a sample of each decision."""

    host: WorkerHost
    boot: BootTimes
    clock: TraceClock
    workers: list[PlayedWorker] = field(default_factory=list)
    samples: list[FleetSample] = field(default_factory=list)
    perfs: list[float] = field(default_factory=list)
    """Units a second of a worker in the trace's time, as the ready workers reported them, at each decision."""
    _lives: list[asyncio.Task[None]] = field(default_factory=list)
    """One task for each process that was started."""

    async def begin(self, ready: int, inactive: int) -> None:
        """Start the workers that exist when the trace begins, and then its clock. Raises StartupError.

        The inactive ones are started too, as spare ones.
        """
        for index in range(ready + inactive):
            self._create(AT_ONCE, is_spare=index >= ready)
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                for worker in self.workers:
                    await worker.booted.wait()
        except TimeoutError:
            raise StartupError(f"the workers were not ready within {READY_TIMEOUT_S:g} s") from None
        for worker in self.workers:
            if worker.state is None and worker.member is not None:
                raise StartupError(f"a worker exited before it was ready{worker.member.tail()}")
            worker.intervals.clear()
            worker.since_s = worker.late_s = 0.0
        self.clock = TraceClock(self.clock.speed)

    async def follow(self, policy: ScalingPolicy, worker_perf: float) -> None:
        """Ask the policy every `tick_s` seconds of the trace, and do what it wants. Never returns.

        `worker_perf` is the speed of a worker until one is ready, in units a second.
        """
        observer = FleetObserver(self.host.vast.router, self.clock, worker_perf)
        for tick in itertools.count():
            await self.clock.sleep_until(tick * policy.tick_s)
            view = observer.view(self.workers)
            self.samples.append(_sample(view))
            if view.ready:
                self.perfs.append(view.worker_perf)
            self.apply(policy.decide(view))

    def apply(self, target: FleetTarget) -> None:
        """Start and stop workers, so that there will be as many as the target says."""
        self._change(active_changes(target, self.workers, self._jobs))
        total = sum(worker.state is not None for worker in self.workers)
        for _ in range(target.total - total):
            self._create(self._creation(), is_spare=True)
        for worker in removable(self.workers)[: max(0, total - target.total)]:
            worker.end(self.clock.now_s)

    async def close(self) -> None:
        """Stop all processes, and wait until they have ended. Raises what ended the task of a worker early."""
        for worker in self.workers:
            worker.end(self.clock.now_s)
        for error in await asyncio.gather(*self._lives, return_exceptions=True):
            if isinstance(error, Exception):
                raise error

    def _change(self, changes: FleetChanges) -> None:
        """Do what was decided about the active workers."""
        now_s = self.clock.now_s
        for worker in changes.keep:
            worker.keep(self.host, now_s)
        for worker in changes.wake:
            self._start(worker, BootPlan(LifeState.STARTING, self.boot.starting_s))
        for worker in changes.stop:
            worker.stop(now_s)
        for worker in changes.want:
            worker.is_spare = False
        for worker in changes.spare:
            worker.is_spare = True
        for _ in range(changes.create):
            self._create(self._creation(), is_spare=False)

    def _creation(self) -> BootPlan:
        """Return the start of a new worker. It always takes the mean time."""
        boot = self.boot
        return BootPlan(LifeState.CREATING, boot.creating_s + boot.loading_s, boot.creating_s)

    def _create(self, boot: BootPlan, *, is_spare: bool) -> None:
        """Begin to create a worker."""
        worker = PlayedWorker(len(self.workers), is_spare=is_spare)
        self.workers.append(worker)
        self._start(worker, boot)

    def _start(self, worker: PlayedWorker, boot: BootPlan) -> None:
        """Start the process of a worker."""
        worker.enter(boot.state, self.clock.now_s)
        self._lives.append(asyncio.create_task(worker.live(self.host, self.clock, boot)))

    def _jobs(self, worker: PlayedWorker) -> int:
        """Return the number of jobs that a worker has."""
        member = self.host.vast.router.fleet.members.get(worker.container_id)
        return member.requests if member is not None else 0


def _sample(view: FleetView) -> FleetSample:
    """Return what is kept of a view."""
    return FleetSample(view.now_s, view.ready, view.starting, view.waiting, view.in_progress)


@asynccontextmanager
async def start_played_fleet(host: WorkerHost, boot: BootTimes, speed: float) -> AsyncIterator[PlayedFleet]:
    """Yield a fleet without workers, and stop all of its processes at the end."""
    fleet = PlayedFleet(host, boot, TraceClock(speed))
    try:
        yield fleet
    finally:
        await fleet.close()
