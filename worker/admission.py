"""Who may come in, and when the others are told to come back. Plain decisions; nothing is awaited here."""

from __future__ import annotations

import math
from dataclasses import dataclass

from worker.errors import WorkerBusy

SMOOTHING = 0.2
"""Weight of the newest job in the measured pace."""
SHORTEST_RETRY_S, LONGEST_RETRY_S = 1.0, 300.0


@dataclass(slots=True)
class Pace:
    """How fast the engine works, in workload units a second, learnt from finished jobs."""

    units_per_s: float = 0.0

    def learn(self, workload: float, generating_s: float) -> None:
        if generating_s <= 0:
            return
        seen = workload / generating_s
        self.units_per_s = seen if not self.units_per_s else self.units_per_s + SMOOTHING * (seen - self.units_per_s)


@dataclass(frozen=True, slots=True)
class Load:
    """Jobs accepted and not ended, and the sum of their workloads."""

    jobs: int = 0
    workload: float = 0.0


def admit(load: Load, limit: int, pace: Pace) -> None:
    """Raises WorkerBusy, with the time until a place is free, when `limit` jobs are here already."""
    if load.jobs >= limit:
        raise WorkerBusy(f"{load.jobs} jobs are waiting or running, the limit", retry_after_s=retry_after(load, pace))


def retry_after(load: Load, pace: Pace) -> float:
    """Whole seconds until about one job of those here has ended, by the measured pace."""
    if not load.jobs or not pace.units_per_s:
        return SHORTEST_RETRY_S
    seconds = load.workload / load.jobs / pace.units_per_s
    return float(math.ceil(min(max(seconds, SHORTEST_RETRY_S), LONGEST_RETRY_S)))
