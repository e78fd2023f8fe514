"""The parameters of a Vast endpoint, and what all readings of its autoscaler do with them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from worker.fleet.simulation.policies.demand import RecentHighest
from worker.fleet.simulation.policy import FleetTarget, FleetView

TICK_S = 5.0
"""Seconds between two decisions. Inferred: Vast documents no interval."""
HOLD_COLD_S = 3600.0
"""Seconds of lower demand before an inactive worker is destroyed. Inferred: older docs say that cold_mult plans for
more than an hour ahead, and a stopped worker costs little."""
ROUNDING = 1e-9
"""Share of a worker that is no reason to start another one."""


@dataclass(frozen=True, slots=True)
class VastParameters:
    """Parameters of an endpoint. Names and meanings are Vast's, defaults are those of this project's fleet file.

    Loads are units a second, times are seconds.

    Attributes:
        min_load: Capacity of active workers that is always kept. Above 0, at least one worker is active.
        min_cold_load: Capacity of active and inactive workers together that is always kept.
        target_util: Expected load, divided by the capacity of active workers.
        cold_mult: Capacity of all workers, divided by the wanted capacity of active workers.
        cold_workers: Workers, active or inactive, that are always kept.
        max_workers: Largest number of workers.
        max_queue_time: Queue time of a worker above which the router gives it no further request.
        target_queue_time: Queue time above which the fleet grows quickly.
        inactivity_timeout: Seconds without load after which no worker has to be active. 0 or less means never.
    """

    min_load: float = 0.0
    min_cold_load: float = 0.0
    target_util: float = 0.9
    cold_mult: float = 2.5
    cold_workers: int = 1
    max_workers: int = 16
    max_queue_time: float = 30.0
    target_queue_time: float = 10.0
    inactivity_timeout: float = 600.0


@dataclass(slots=True)
class VastFleetSize:
    """Turns a wanted capacity into numbers of workers. All readings share it.

    Attributes:
        parameters: The parameters of the endpoint.
        hold: Keeps the wanted capacity up until it has been lower for a while. Inferred.
    """

    parameters: VastParameters
    hold: RecentHighest
    _hold_cold: RecentHighest = field(default_factory=lambda: RecentHighest(HOLD_COLD_S))
    _last_load_s: float = 0.0

    def target(self, view: FleetView, wanted: float) -> FleetTarget:
        """Return the numbers of workers for a capacity of `wanted` units a second.

        Documented: capacity = load / target_util, total = the largest of cold_mult x active, min_cold_load and
        cold_workers, no worker active only with min_load 0 and after inactivity_timeout.
        """
        limits = self.parameters
        wanted = self.hold.add(view.now_s, max(wanted, limits.min_load, 0.0))
        active = max(_workers(wanted, view.worker_perf), self._least_active(view))
        cold = max(
            limits.cold_workers,
            _workers(limits.cold_mult * wanted, view.worker_perf),
            _workers(limits.min_cold_load, view.worker_perf),
        )
        active = min(active, limits.max_workers)
        cold = int(self._hold_cold.add(view.now_s, max(cold, active)))
        return FleetTarget(active, min(cold, limits.max_workers))

    def _least_active(self, view: FleetView) -> int:
        """Return 0 if the fleet may have no active worker now, and 1 otherwise."""
        limits = self.parameters
        if view.waiting or view.in_progress or view.new_load > 0:
            self._last_load_s = view.now_s
        may_be_zero = limits.min_load <= 0 and limits.inactivity_timeout > 0
        return 0 if may_be_zero and view.now_s - self._last_load_s >= limits.inactivity_timeout else 1


def _workers(capacity: float, worker_perf: float) -> int:
    """Return the smallest number of workers with this capacity."""
    return math.ceil(capacity / worker_perf - ROUNDING)
