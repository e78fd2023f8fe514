"""The choice of the workers that are started and stopped, without processes."""

from __future__ import annotations

from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.policy import FleetTarget
from worker.simulators.vast_fleet.played_worker import PlayedWorker
from worker.simulators.vast_fleet.scaling import FleetChanges, active_changes, removable


def fleet(*states: LifeState | None) -> list[PlayedWorker]:
    return [PlayedWorker(number, state) for number, state in enumerate(states)]


def changes(active: int, workers: list[PlayedWorker], jobs: dict[int, int] | None = None) -> FleetChanges:
    return active_changes(FleetTarget(active, 10), workers, lambda worker: (jobs or {}).get(worker.number, 0))


def test_the_workers_that_are_soonest_ready_are_taken_first() -> None:
    """A draining worker is kept, then a spare one is wanted, then an inactive one is woken, then one is created."""
    workers = fleet(LifeState.INACTIVE, LifeState.LOADING, LifeState.DRAINING, None)
    workers[1].is_spare = True
    inactive, spare, draining, _ = workers
    assert changes(1, workers) == FleetChanges(keep=[draining], want=[], wake=[], create=0)
    assert changes(3, workers) == FleetChanges(keep=[draining], want=[spare], wake=[inactive], create=0)
    assert changes(5, workers) == FleetChanges(keep=[draining], want=[spare], wake=[inactive], create=2)


def test_idle_workers_are_stopped_first_and_busy_ones_last() -> None:
    """Of a surplus, idle workers are stopped first, then starting ones, then the one with the fewest jobs."""
    workers = fleet(LifeState.READY, LifeState.READY, LifeState.READY, LifeState.STARTING)
    jobs = {0: 2, 1: 1}
    busiest, busy, idle, starting = workers
    assert changes(3, workers, jobs).stop == [idle]
    assert changes(2, workers, jobs).stop == [idle, starting]
    assert changes(1, workers, jobs).stop == [idle, starting, busy]
    assert changes(0, workers, jobs).stop == [idle, starting, busy, busiest]


def test_a_new_worker_is_created_first_and_stopped_then() -> None:
    """A surplus worker that is being created becomes spare, and does not count as active any more."""
    workers = fleet(LifeState.CREATING, LifeState.LOADING)
    assert changes(1, workers) == FleetChanges(spare=[workers[1]], stop=[])
    workers[1].is_spare = True
    assert changes(1, workers) == FleetChanges(spare=[], stop=[])


def test_only_workers_without_jobs_are_destroyed() -> None:
    """Spare workers are destroyed before inactive ones, and no other is."""
    workers = fleet(LifeState.INACTIVE, LifeState.READY, LifeState.CREATING, LifeState.DRAINING, LifeState.INACTIVE)
    workers[2].is_spare = True
    assert [worker.number for worker in removable(workers)] == [2, 0, 4]
