"""From what a policy wants to what is done. The order in which workers are chosen is that of the simulation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.policy import FleetTarget
from worker.simulators.vast_fleet.played_worker import PlayedWorker

JobCount = Callable[[PlayedWorker], int]
"""Returns the number of jobs that a worker has."""


@dataclass(frozen=True, slots=True)
class FleetChanges:
    """What is done after a decision.

    Attributes:
        keep: Draining workers that take jobs again.
        want: Spare workers that are no longer spare.
        wake: Inactive workers that are started.
        create: Number of new workers.
        spare: Workers in creation that become spare.
        stop: Workers that are stopped.
    """

    keep: Sequence[PlayedWorker] = ()
    want: Sequence[PlayedWorker] = ()
    wake: Sequence[PlayedWorker] = ()
    create: int = 0
    spare: Sequence[PlayedWorker] = ()
    stop: Sequence[PlayedWorker] = ()


def active_changes(target: FleetTarget, workers: Sequence[PlayedWorker], jobs: JobCount) -> FleetChanges:
    """Return the changes that lead to `target.active`."""
    active = [worker for worker in workers if worker.state is LifeState.READY or is_starting(worker)]
    missing = target.active - len(active)
    return _growth(missing, workers) if missing > 0 else _shrinking(-missing, active, jobs)


def is_starting(worker: PlayedWorker) -> bool:
    """Return whether a worker is to become ready."""
    return worker.is_booting and not worker.is_spare


def removable(workers: Sequence[PlayedWorker]) -> list[PlayedWorker]:
    """Return the workers that a smaller `target.total` removes, in this order: spare ones, then the oldest inactive."""
    spares = [worker for worker in workers if worker.is_booting and worker.is_spare]
    return [*reversed(spares), *(worker for worker in workers if worker.state is LifeState.INACTIVE)]


def _growth(missing: int, workers: Sequence[PlayedWorker]) -> FleetChanges:
    """Return the changes that give `missing` more active workers: first those that are soonest ready."""
    draining = [worker for worker in workers if worker.state is LifeState.DRAINING]
    spares = [worker for worker in workers if worker.is_booting and worker.is_spare]
    inactive = [worker for worker in workers if worker.state is LifeState.INACTIVE][::-1]
    chosen = [*draining, *spares, *inactive][:missing]
    return FleetChanges(
        keep=[worker for worker in chosen if worker.state is LifeState.DRAINING],
        want=[worker for worker in chosen if worker.is_booting],
        wake=[worker for worker in chosen if worker.state is LifeState.INACTIVE],
        create=missing - len(chosen),
    )


def _shrinking(surplus: int, active: Sequence[PlayedWorker], jobs: JobCount) -> FleetChanges:
    """Return the changes that stop a surplus: idle workers first, then starting ones, then those with few jobs."""
    ready = sorted((worker for worker in active if worker.state is LifeState.READY), key=jobs)
    idle = [worker for worker in ready if not jobs(worker)]
    starting = [worker for worker in active if worker.is_booting][::-1]
    chosen = [*idle, *starting, *ready[len(idle) :]][:surplus]
    spare = [worker for worker in chosen if worker.state in (LifeState.CREATING, LifeState.LOADING)]
    return FleetChanges(spare=spare, stop=[worker for worker in chosen if worker not in spare])
