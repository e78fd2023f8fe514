"""Readings B and B' of Vast's autoscaler: it also grows when work waits for longer than `target_queue_time`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from worker.fleet.simulation.policies.demand import RecentHighest
from worker.fleet.simulation.policies.vast_parameters import TICK_S, VastFleetSize, VastParameters
from worker.fleet.simulation.policies.vast_utilisation import HOLD_S, VastUtilisation
from worker.fleet.simulation.policy import FleetTarget, FleetView


@dataclass(slots=True)
class VastQueue:
    """Adds the capacity that does all work within `target_queue_time`, while the queue time is longer than that.

    Documented: "observed queue times" above target_queue_time start an aggressive scale-up. Inferred: the queue time
    is the load of all workers and of the router's queue, divided by the capacity of the ready workers.
    """

    parameters: VastParameters
    tick_s: float = TICK_S
    _utilisation: VastUtilisation = field(init=False)
    _size: VastFleetSize = field(init=False)

    def __post_init__(self) -> None:
        """Start with no load."""
        self._utilisation = VastUtilisation(self.parameters, self.tick_s)
        self._size = VastFleetSize(self.parameters, RecentHighest(HOLD_S))

    def decide(self, view: FleetView) -> FleetTarget:
        """Return the workers for the arriving load, and for the work that waits too long."""
        wanted, target_s = self._utilisation.wanted(view), self.parameters.target_queue_time
        if target_s > 0 and self.queue_time_s(view) > target_s:
            wanted += _unfinished(view) / target_s
        return self._size.target(view, wanted)

    def queue_time_s(self, view: FleetView) -> float:
        """Return the observed queue time in seconds."""
        unfinished = _unfinished(view)
        if unfinished <= 0:
            return 0.0
        return unfinished / (view.ready * view.worker_perf) if view.ready else math.inf


@dataclass(slots=True)
class VastQueueAge(VastQueue):
    """Reading B': the same, but the queue time is the age of the first request in the router's queue.

    Inferred: "observed" is taken by its word. Work that a worker has already accepted is no queue.
    """

    def queue_time_s(self, view: FleetView) -> float:
        """Return how long the first request in the router's queue has waited, in seconds."""
        return view.oldest_wait_s


def _unfinished(view: FleetView) -> float:
    """Return the load that is not yet done, in units."""
    return view.current_load + view.waiting_load
