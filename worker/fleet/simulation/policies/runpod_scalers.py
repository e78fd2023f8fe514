"""RunPod's two scalers. Neither sees how much work a request is.

Source: docs.runpod.io, serverless endpoints, of 2026-08-20.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from worker.fleet.simulation.policy import FleetTarget, FleetView

TICK_S = 4.0
"""Seconds between two decisions. Inferred: RunPod documents only "periodically"."""


@dataclass(frozen=True, slots=True)
class RunpodParameters:
    """Parameters of an endpoint, in RunPod's own names and with its defaults.

    Attributes:
        workersMin: Workers that always run.
        workersMax: Largest number of workers that run. They all exist from the start, because stopped ones are free.
        idleTimeout: Seconds without a request after which a worker stops.
        queueDelay: Seconds that a request may wait before a worker is added.
        requestCount: Requests for each worker.
    """

    workersMin: int = 0  # noqa: N815 - RunPod's name
    workersMax: int = 3  # noqa: N815
    idleTimeout: float = 5.0  # noqa: N815
    queueDelay: float = 4.0  # noqa: N815
    requestCount: int = 1  # noqa: N815


@dataclass(slots=True)
class RunpodQueueDelay:
    """`QUEUE_DELAY`: adds a worker while a request has waited for longer than `queueDelay`.

    Documented: the condition, the bounds and idleTimeout. Inferred: one worker at each check.
    """

    parameters: RunpodParameters
    tick_s: float = TICK_S

    def decide(self, view: FleetView) -> FleetTarget:
        """Return one more worker if a request waits for too long."""
        is_late = view.oldest_wait_s > self.parameters.queueDelay
        return _target(self.parameters, view, view.ready + view.starting + 1 if is_late else 0)


@dataclass(slots=True)
class RunpodRequestCount:
    """`REQUEST_COUNT`: one worker for each `requestCount` requests that wait or run.

    Documented: the formula and the bounds. On queue endpoints, idleTimeout is fixed with this scaler in API v2.
    """

    parameters: RunpodParameters
    tick_s: float = TICK_S

    def decide(self, view: FleetView) -> FleetTarget:
        """Return the workers for the number of requests."""
        requests = view.waiting + view.in_progress
        return _target(self.parameters, view, math.ceil(requests / self.parameters.requestCount))


def _target(parameters: RunpodParameters, view: FleetView, wanted: int) -> FleetTarget:
    """Return the target for this many workers. A worker stops only when it has been idle for `idleTimeout`."""
    expired = sum(seconds >= parameters.idleTimeout for seconds in view.idle_s)
    active = max(wanted, view.ready + view.starting - expired, parameters.workersMin)
    return FleetTarget(min(active, parameters.workersMax), parameters.workersMax)
