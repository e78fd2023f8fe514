"""Reading C of Vast's autoscaler: it prepares for the highest load of several horizons, and works off a backlog."""

from __future__ import annotations

from dataclasses import dataclass, field

from worker.fleet.simulation.policies.demand import RecentHighest, SmoothedRate, TickClock
from worker.fleet.simulation.policies.vast_parameters import TICK_S, VastFleetSize, VastParameters
from worker.fleet.simulation.policy import FleetTarget, FleetView

HORIZONS = (10.0, 60.0, 600.0, 3600.0)
"""Seconds over which the arriving load is averaged. Inferred."""
HOLD_S = 300.0
"""Seconds of lower demand before a worker is stopped. Inferred."""
DRAIN_S = 60.0
"""Seconds in which a backlog is to be worked off. Inferred."""


@dataclass(slots=True)
class VastForecast:
    """Keeps the capacity for the busiest of four horizons, and for the backlog beyond `target_queue_time`.

    Documented: the engine scales on "incoming and forecasted demand", and min_load holds "at all horizons". Inferred:
    the horizons, and that a forecast is the mean of the past.
    """

    parameters: VastParameters
    tick_s: float = TICK_S
    _rates: tuple[SmoothedRate, ...] = field(default_factory=lambda: tuple(map(SmoothedRate, HORIZONS)))
    _clock: TickClock = field(init=False)
    _size: VastFleetSize = field(init=False)

    def __post_init__(self) -> None:
        """Start with no load."""
        self._clock = TickClock(self.tick_s)
        self._size = VastFleetSize(self.parameters, RecentHighest(HOLD_S))

    def decide(self, view: FleetView) -> FleetTarget:
        """Return the workers for the expected load and the backlog."""
        seconds = self._clock.step(view.now_s)
        rate = max([rate.add(view.new_load, seconds) for rate in self._rates])
        allowed = self.parameters.target_queue_time * view.ready * view.worker_perf
        backlog = max(0.0, view.current_load + view.waiting_load - allowed)
        return self._size.target(view, rate / self.parameters.target_util + backlog / DRAIN_S)
