"""The readings of Vast's autoscaler by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

from worker.fleet.simulation.policies.vast_forecast import VastForecast
from worker.fleet.simulation.policies.vast_parameters import VastParameters
from worker.fleet.simulation.policies.vast_queue import VastQueue, VastQueueAge
from worker.fleet.simulation.policies.vast_utilisation import VastUtilisation
from worker.fleet.simulation.policy import ScalingPolicy


class VastReading(StrEnum):
    """What Vast's closed autoscaler may do. Which one is right is unknown."""

    UTILISATION = "utilisation"
    """A: it follows the arriving load."""
    QUEUE = "queue"
    """B: it also grows when the work of the fleet takes longer than `target_queue_time`."""
    QUEUE_AGE = "queue-age"
    """B': it also grows when a request has waited in the router for longer than `target_queue_time`."""
    FORECAST = "forecast"
    """C: it prepares for the busiest of several horizons."""

    def policy(self, parameters: VastParameters) -> ScalingPolicy:
        """Return a new autoscaler of this reading."""
        return _POLICIES[self](parameters)


_POLICIES: Mapping[VastReading, Callable[[VastParameters], ScalingPolicy]] = {
    VastReading.UTILISATION: VastUtilisation,
    VastReading.QUEUE: VastQueue,
    VastReading.QUEUE_AGE: VastQueueAge,
    VastReading.FORECAST: VastForecast,
}
