"""Reading A of Vast's autoscaler: it follows the rate at which load arrives."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.fleet.simulation.policies.demand import RecentHighest, SmoothedRate, TickClock
from worker.fleet.simulation.policies.vast_parameters import TICK_S, VastFleetSize, VastParameters
from worker.fleet.simulation.policy import FleetTarget, FleetView

HORIZON_S = 60.0
"""Seconds over which the arriving load is averaged. Inferred."""
HOLD_S = 60.0
"""Seconds of lower demand before a worker is stopped. Inferred."""


@dataclass(slots=True)
class VastUtilisation:
    """Keeps the capacity at the arriving load divided by `target_util`.

    Documented: capacity = anticipated load / target_util. Inferred: the anticipated load is the mean of the last
    minute, and the length of queues does not matter. Source: docs.vast.ai, serverless parameters of 2026-05-28.
    """

    parameters: VastParameters
    tick_s: float = TICK_S
    _rate: SmoothedRate = field(default_factory=lambda: SmoothedRate(HORIZON_S))
    _clock: TickClock = field(init=False)
    _size: VastFleetSize = field(init=False)

    def __post_init__(self) -> None:
        """Start with no load."""
        self._clock = TickClock(self.tick_s)
        self._size = VastFleetSize(self.parameters, RecentHighest(HOLD_S))

    def decide(self, view: FleetView) -> FleetTarget:
        """Return the workers for the arriving load."""
        return self._size.target(view, self.wanted(view))

    def wanted(self, view: FleetView) -> float:
        """Return the wanted capacity in units a second."""
        return self._rate.add(view.new_load, self._clock.step(view.now_s)) / self.parameters.target_util
