"""Counts the work that arrived: all of it at once, or metered, at the speed at which a worker can do it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class MetricsEntry(Protocol):
    """The SDK's RequestMetrics. `status` is Success, Error, Cancelled or Rejected once the request is done."""

    request_idx: int
    reqnum: int
    workload: float
    status: str
    success: bool
    entered_queue_at: float
    work_started_at: float
    work_completed_at: float


WITHDRAWN = frozenset({"Cancelled", "Rejected"})
"""Statuses of requests whose work will not be done. What was not counted of it until then is never counted."""


@dataclass(slots=True)
class Arrival:
    """A request whose units are not all counted yet. `since` is the monotonic time until which they are."""

    entry: MetricsEntry
    units_left: float
    since: float


class NewWork:
    """The units of the requests that arrived, for the SDK's `new_load`.

    `units_per_s` returns the speed at which the units of one request are counted, or None to count all of them at once.
    A request can use one engine only. Counted at once, a long job looks like work for many workers.
    """

    def __init__(
        self, units_per_s: Callable[[], float | None] = lambda: None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._units_per_s = units_per_s
        self._clock = clock
        self._arrivals: dict[int, Arrival] = {}

    def add(self, entry: MetricsEntry) -> None:
        """Begin to count a request that has arrived."""
        self._arrivals[id(entry)] = Arrival(entry, entry.workload, self._clock())

    def withdraw(self, entry: MetricsEntry) -> None:
        """Count no more units of a request whose job failed or was cancelled after the request had its response."""
        self._arrivals.pop(id(entry), None)

    def take(self, working: Callable[[MetricsEntry], bool]) -> float:
        """Return the units since the last call.

        `working` returns whether a request is still being worked on. The rest of one that is done counts now.
        """
        units_per_s, now = self._units_per_s(), self._clock()
        units = 0.0
        for key, arrival in list(self._arrivals.items()):
            entry = arrival.entry
            if entry.status in WITHDRAWN:
                del self._arrivals[key]
                continue
            part = arrival.units_left
            if units_per_s is not None and working(entry):
                part = min(part, units_per_s * (now - arrival.since))
            units += part
            arrival.units_left, arrival.since = arrival.units_left - part, now
            if arrival.units_left <= 0:
                del self._arrivals[key]
        return units
