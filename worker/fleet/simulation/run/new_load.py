"""The new load that workers report: all of a job when it arrives, or metered at the speed of the worker."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Protocol


class NewLoad(Protocol):
    """Adds up new load."""

    def arrived(self, job: int, units: float, units_per_s: float, now_s: float) -> None:
        """Add a job that a worker has got. The worker does `units_per_s`."""
        ...

    def done(self, job: int) -> None:
        """Add the rest of a job that is done."""
        ...

    def withdrawn(self, job: int, now_s: float) -> None:
        """Forget the rest of a job whose worker is gone."""
        ...

    def take(self, now_s: float) -> float:
        """Return the units since the last call."""
        ...


class LoadAtArrival:
    """Counts all units of a job when it arrives."""

    def __init__(self) -> None:
        self._units = 0.0

    def arrived(self, job: int, units: float, units_per_s: float, now_s: float) -> None:
        """Add the units of the job."""
        self._units += units

    def done(self, job: int) -> None:
        """Add nothing."""

    def withdrawn(self, job: int, now_s: float) -> None:
        """Forget nothing."""

    def take(self, now_s: float) -> float:
        """Return the units since the last call."""
        units, self._units = self._units, 0.0
        return units


class MeteredLoad:
    """Counts the units of each job at the speed of its worker from its arrival on, and the rest when it is done.

    The sum over all metered jobs, `units_per_s x (now - arrival)`, is kept as two numbers, so that a job costs
    O(log n) in all, and not O(1) at each decision.
    """

    def __init__(self) -> None:
        self._metered: dict[int, tuple[float, float, float]] = {}
        self._ends: list[tuple[float, int]] = []
        self._per_s = self._per_s_arrivals = self._complete = self._taken = 0.0

    def arrived(self, job: int, units: float, units_per_s: float, now_s: float) -> None:
        """Begin to meter a job."""
        self._metered[job] = (units, units_per_s, now_s)
        self._per_s += units_per_s
        self._per_s_arrivals += units_per_s * now_s
        heappush(self._ends, (now_s + units / units_per_s, job))

    def done(self, job: int) -> None:
        """Add the rest of a job."""
        entry = self._metered.pop(job, None)
        if entry is not None:
            self._end(entry, entry[0])

    def withdrawn(self, job: int, now_s: float) -> None:
        """Keep only what was counted of a job until now."""
        entry = self._metered.pop(job, None)
        if entry is not None:
            units, units_per_s, arrived_s = entry
            self._end(entry, min(units, units_per_s * (now_s - arrived_s)))

    def take(self, now_s: float) -> float:
        """Return the units since the last call."""
        while self._ends and self._ends[0][0] <= now_s:
            end_s, job = heappop(self._ends)
            entry = self._metered.get(job)
            if entry is not None and entry[2] + entry[0] / entry[1] == end_s:  # not of an earlier attempt
                self.done(job)
        if not self._metered:
            self._per_s = self._per_s_arrivals = 0.0  # drops what rounding has left
        total = self._complete + self._per_s * now_s - self._per_s_arrivals
        units, self._taken = total - self._taken, total
        return units

    def _end(self, entry: tuple[float, float, float], counted: float) -> None:
        """Stop metering a job of which `counted` units are counted."""
        _, units_per_s, arrived_s = entry
        self._per_s -= units_per_s
        self._per_s_arrivals -= units_per_s * arrived_s
        self._complete += counted
