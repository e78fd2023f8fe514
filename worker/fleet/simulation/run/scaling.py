"""Starts and stops workers, as the autoscaler wants."""

from __future__ import annotations

import random

from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.policy import FleetTarget
from worker.fleet.simulation.run.events import EventCalendar, EventKind
from worker.fleet.simulation.run.router import FleetRouter
from worker.fleet.simulation.run.workers import NO_JOB, SimulatedWorker
from worker.fleet.simulation.scenario import FleetScenario

LEAST_SHARE = 0.2
"""A start takes at least this share of its mean time."""
BOOTING = (LifeState.CREATING, LifeState.LOADING, LifeState.STARTING)


class SimulatedWorkers:
    """All workers of a run, by their number and by what they do.

    Attributes:
        ready: Workers that take jobs.
        booting: Workers that are being created, loaded or started.
        inactive: Stopped workers.
        draining: Workers that finish their jobs.
        gone: Workers that no longer exist.
    """

    def __init__(self, scenario: FleetScenario, router: FleetRouter, calendar: EventCalendar) -> None:
        self._scenario, self._router, self._calendar = scenario, router, calendar
        self._chance = random.Random(f"workers {scenario.seed}")  # noqa: S311 - not for security
        self._count = 0
        self.ready: dict[int, SimulatedWorker] = {}
        self.booting: dict[int, SimulatedWorker] = {}
        self.inactive: dict[int, SimulatedWorker] = {}
        self.draining: dict[int, SimulatedWorker] = {}
        self.gone: list[SimulatedWorker] = []
        self._speed_of_ready = 0.0

    @property
    def starting(self) -> int:
        """Number of workers that are to become ready."""
        return sum(not worker.is_spare for worker in self.booting.values())

    @property
    def total(self) -> int:
        """Number of workers that exist."""
        return len(self.ready) + len(self.booting) + len(self.inactive) + len(self.draining)

    @property
    def mean_speed(self) -> float:
        """Mean speed of the ready workers, or the expected one."""
        return self._speed_of_ready / len(self.ready) if self.ready else self._scenario.speed

    def start(self, now_s: float) -> None:
        """Make the workers that exist at the start."""
        for _ in range(self._scenario.ready_at_start):
            self._enter_ready(self._new(LifeState.CREATING, now_s), now_s)
        for _ in range(self._scenario.inactive_at_start):
            worker = self._new(LifeState.INACTIVE, now_s)
            self.inactive[worker.number] = worker

    def apply(self, target: FleetTarget, now_s: float) -> None:
        """Start or stop workers until their numbers are as wanted."""
        active = len(self.ready) + self.starting
        if active < target.active:
            self._grow(target.active - active, now_s)
        elif active > target.active:
            self._shrink(active - target.active, now_s)
        for _ in range(target.total - self.total):
            self._create(now_s, is_spare=True)
        for _ in range(self.total - target.total):
            if not self._remove_spare(now_s):
                break

    def booted(self, worker: SimulatedWorker, now_s: float) -> bool:
        """Go on with the start of a worker. Return whether it is ready now."""
        if worker.state is LifeState.CREATING:
            self._load(worker, now_s)
            return False
        del self.booting[worker.number]
        if worker.has_failed:
            self.remove(worker, now_s)
        elif worker.is_spare:
            self._enter(worker, LifeState.INACTIVE, self.inactive, now_s)
        else:
            self._enter_ready(worker, now_s)
            return True
        return False

    def stop_drained(self, worker: SimulatedWorker, now_s: float) -> None:
        """Stop a draining worker that has done its last job."""
        del self.draining[worker.number]
        self._enter(worker, LifeState.INACTIVE, self.inactive, now_s)

    def machine_failed(self, worker: SimulatedWorker, now_s: float) -> None:
        """Remove a worker whose machine has failed. It has no jobs any more."""
        worker.has_failed = True
        if worker.number in self.ready:
            self._leave_ready(worker)
        else:
            del self.draining[worker.number]
        self.remove(worker, now_s)

    def remove(self, worker: SimulatedWorker, now_s: float) -> None:
        """Note that a worker no longer exists."""
        worker.enter(None, now_s)
        self.gone.append(worker)

    def end(self, now_s: float) -> None:
        """Remove all workers at the end of the run."""
        for group in (self.ready, self.booting, self.inactive, self.draining):
            for worker in group.values():
                if worker.running != NO_JOB:
                    worker.busy_s += now_s - worker.started_s
                self.remove(worker, now_s)
            group.clear()

    def _grow(self, missing: int, now_s: float) -> None:
        """Get more active workers: first those that are soonest ready."""
        for worker in list(self.draining.values())[:missing]:
            del self.draining[worker.number]
            self._enter_ready(worker, now_s)
            missing -= 1
        for worker in [each for each in self.booting.values() if each.is_spare][:missing]:
            worker.is_spare = False
            missing -= 1
        for worker in list(self.inactive.values())[::-1][:missing]:
            del self.inactive[worker.number]
            self._enter(worker, LifeState.STARTING, self.booting, now_s)
            self._plan_boot(worker, now_s, self._scenario.platform.boot.starting_s)
            missing -= 1
        for _ in range(missing):
            self._create(now_s, is_spare=False)

    def _shrink(self, surplus: int, now_s: float) -> None:
        """Stop active workers: idle ones first, then starting ones, then those with the fewest jobs."""
        idle = sorted((each for each in self.ready.values() if each.running == NO_JOB), key=lambda w: w.idle_since_s)
        for worker in idle[:surplus]:
            self._leave_ready(worker)
            self._enter(worker, LifeState.INACTIVE, self.inactive, now_s)
        surplus -= min(surplus, len(idle))
        newest = [each for each in self.booting.values() if not each.is_spare][::-1]
        for worker in newest[:surplus]:
            self._stop_booting(worker, now_s)
        surplus -= min(surplus, len(newest))
        if surplus:
            for worker in sorted(self.ready.values(), key=lambda w: w.job_count)[:surplus]:
                self._leave_ready(worker)
                self._enter(worker, LifeState.DRAINING, self.draining, now_s)

    def _stop_booting(self, worker: SimulatedWorker, now_s: float) -> None:
        """Stop a worker that is not ready yet. One that is new first has to be created."""
        if worker.state is LifeState.STARTING:
            del self.booting[worker.number]
            self._enter(worker, LifeState.INACTIVE, self.inactive, now_s)
        else:
            worker.is_spare = True

    def _remove_spare(self, now_s: float) -> bool:
        """Remove one worker that is neither ready nor wanted, and return whether there was one."""
        spares = [each for each in self.booting.values() if each.is_spare][-1:]
        for worker in spares or list(self.inactive.values())[:1]:
            (self.booting if spares else self.inactive).pop(worker.number)
            self.remove(worker, now_s)
            return True
        return False

    def _new(self, state: LifeState, now_s: float) -> SimulatedWorker:
        """Return a worker that has just come into being."""
        spread = self._scenario.speed_spread
        factor = self._chance.lognormvariate(-spread * spread / 2, spread) if spread else 1.0
        worker = SimulatedWorker(self._count, self._scenario.speed * factor, state, now_s)
        self._count += 1
        return worker

    def _create(self, now_s: float, *, is_spare: bool) -> None:
        """Begin to create a worker."""
        worker = self._new(LifeState.CREATING, now_s)
        worker.is_spare = is_spare
        self.booting[worker.number] = worker
        self._plan_boot(worker, now_s, self._scenario.platform.boot.creating_s)

    def _load(self, worker: SimulatedWorker, now_s: float) -> None:
        """Let a new worker pull its image. It may take long, or fail at the end."""
        boot = self._scenario.platform.boot
        worker.enter(LifeState.LOADING, now_s)
        luck = self._chance.random()
        worker.has_failed = luck < boot.fail_share
        is_slow = boot.fail_share <= luck < boot.fail_share + boot.slow_share
        self._plan_boot(worker, now_s, boot.loading_s, extra_s=boot.slow_s if is_slow else 0.0)

    def _plan_boot(self, worker: SimulatedWorker, now_s: float, mean_s: float, extra_s: float = 0.0) -> None:
        """Plan the end of a part of a start."""
        factor = max(self._chance.gauss(1.0, self._scenario.platform.boot.spread), LEAST_SHARE)
        self._calendar.plan(now_s + mean_s * factor + extra_s, EventKind.BOOTED, worker, worker.stage)

    def _enter(
        self, worker: SimulatedWorker, state: LifeState, group: dict[int, SimulatedWorker], now_s: float
    ) -> None:
        """Put a worker into the group of its new state."""
        worker.enter(state, now_s)
        worker.is_spare = False
        group[worker.number] = worker

    def _enter_ready(self, worker: SimulatedWorker, now_s: float) -> None:
        """Let a worker take jobs. Its machine may fail later."""
        self._enter(worker, LifeState.READY, self.ready, now_s)
        self._speed_of_ready += worker.speed
        self._router.entered(worker)
        rate = self._scenario.platform.failures_per_hour
        if rate > 0:
            fails_s = now_s + self._chance.expovariate(rate) * 3600.0
            self._calendar.plan(fails_s, EventKind.MACHINE_FAILED, worker, worker.stage)

    def _leave_ready(self, worker: SimulatedWorker) -> None:
        """Let a worker take no more jobs."""
        del self.ready[worker.number]
        self._speed_of_ready -= worker.speed
        self._router.left(worker)
