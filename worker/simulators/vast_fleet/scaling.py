"""From what a policy wants to what is done: which workers are created, woken, stopped and destroyed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from worker.fleet.simulation.policy import FleetTarget
from worker.simulators.vast_fleet.played_worker import PlayedWorker, WorkerStage


@dataclass(frozen=True, slots=True)
class FleetChanges:
    """What is done after a decision: the number of new workers, and the workers that are woken, stopped, destroyed."""

    create: int
    wake: Sequence[PlayedWorker]
    stop: Sequence[PlayedWorker]
    destroy: Sequence[PlayedWorker]


def changes(target: FleetTarget, active: Sequence[PlayedWorker], inactive: Sequence[PlayedWorker]) -> FleetChanges:
    """Return the changes that lead to the target.

    `active` are the workers that are ready or starting, those first that are stopped first. Of a surplus, as many stay
    inactive as `target.total` allows.
    """
    missing = max(0, target.active - len(active))
    stop = active[: max(0, len(active) - target.active)]
    wake = inactive[:missing]
    spare = inactive[missing:]
    kept = max(0, target.total - max(target.active, 0))
    destroy = spare[kept:]
    return FleetChanges(missing - len(wake), wake, stop, destroy)


def stop_order(workers: Sequence[PlayedWorker], loads: Sequence[float]) -> list[PlayedWorker]:
    """Return the active workers in the order in which a surplus is stopped: starting ones, idle ones, then the others.

    `loads` are the loads of the workers. The newest of equal ones comes first.
    """
    order = {WorkerStage.STARTING: 0, WorkerStage.READY: 1}
    rows = sorted(zip(workers, loads, strict=True), key=lambda row: (order[row[0].stage], row[1], -row[0].number))
    return [worker for worker, _ in rows]
