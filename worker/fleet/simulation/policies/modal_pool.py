"""Modal's autoscaler: a pool of containers for each function.

Source: modal.com/docs/guide/scale.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from worker.fleet.simulation.policy import FleetTarget, FleetView

TICK_S = 1.0
"""Seconds between two decisions. Inferred: Modal starts a container when no other has room for an input."""


@dataclass(frozen=True, slots=True)
class ModalParameters:
    """Parameters of a function, in Modal's own names.

    Attributes:
        min_containers: Containers that always run.
        max_containers: Largest number of containers.
        buffer_containers: Further containers while there are inputs.
        scaledown_window: Seconds without an input after which a container stops. The default is 60, as documented for
            a comparable service: Modal's own was not found.
        concurrency: Inputs that a container takes at a time.
    """

    min_containers: int = 0
    max_containers: int = 10
    buffer_containers: int = 0
    scaledown_window: float = 60.0
    concurrency: int = 1


@dataclass(slots=True)
class ModalPool:
    """One container for each `concurrency` inputs, and the buffer.

    Documented: new containers when there is no capacity for inputs, the bounds, the buffer and scaledown_window.
    """

    parameters: ModalParameters
    tick_s: float = TICK_S

    def decide(self, view: FleetView) -> FleetTarget:
        """Return the containers for the inputs that wait or run."""
        limits, inputs = self.parameters, view.waiting + view.in_progress
        wanted = math.ceil(inputs / limits.concurrency) + (limits.buffer_containers if inputs else 0)
        expired = sum(seconds >= limits.scaledown_window for seconds in view.idle_s)
        active = max(wanted, view.ready + view.starting - expired, limits.min_containers)
        active = min(active, limits.max_containers)
        return FleetTarget(active, active)
