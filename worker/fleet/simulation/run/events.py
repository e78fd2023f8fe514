"""The events of a run, in the order of time."""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.fleet.simulation.run.workers import SimulatedWorker


class EventKind(IntEnum):
    """What happens. An arrival is no event: the trace is already in order."""

    JOB_DONE = 0
    BOOTED = 1
    """A worker has finished the current part of its start."""
    MACHINE_FAILED = 2
    RELEASE = 3
    """A worker's queue time has fallen to the router's limit."""
    DECISION = 4


FleetEvent = tuple[float, int, EventKind, "SimulatedWorker | None", int]
"""Time, number, kind, worker, and the worker's `stage` at the time of planning: if it has changed, nothing happens."""


class EventCalendar:
    """The planned events. Events of one time happen in the order in which they were planned."""

    __slots__ = ("_count", "_heap")

    def __init__(self) -> None:
        self._heap: list[FleetEvent] = []
        self._count = 0

    def plan(self, at_s: float, kind: EventKind, worker: SimulatedWorker | None = None, stage: int = 0) -> None:
        """Plan an event."""
        self._count += 1
        heappush(self._heap, (at_s, self._count, kind, worker, stage))

    @property
    def next_s(self) -> float:
        """Time of the next event. The calendar always holds the next decision."""
        return self._heap[0][0]

    def pop(self) -> FleetEvent:
        """Remove and return the next event."""
        return heappop(self._heap)
