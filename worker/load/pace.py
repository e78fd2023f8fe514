"""Measures the speed of engines in workload units per second, from the last finished jobs."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from statistics import median

REMEMBERED, ENOUGH = 9, 3
"""Number of jobs whose speed is remembered, and minimum number of jobs for an estimate."""
ONLY = "engine-0"
"""Name of the engine if there is only one."""


class Pace:
    """The speed of one engine: the median of its last jobs, so that a job that loads its models first has no effect."""

    def __init__(self, *speeds: float) -> None:
        self._speeds: deque[float] = deque(speeds, maxlen=REMEMBERED)

    @property
    def units_per_s(self) -> float:
        """Workload units per second, the median of the last jobs. 0 before enough jobs have finished."""
        return median(self._speeds) if len(self._speeds) >= ENOUGH else 0.0

    def record(self, workload: float, generating_s: float) -> None:
        """Record a finished job: its workload, and the seconds that it took. A job that took 0 s is ignored."""
        if generating_s > 0:
            self._speeds.append(workload / generating_s)


class Paces:
    """The speed of each engine by its name, and of all engines that are alive.

    An engine that has not run enough jobs yet counts with the median of the others.
    """

    def __init__(self, paces: Mapping[str, Pace] | None = None) -> None:
        self._paces = dict(paces or {ONLY: Pace()})
        self.alive: Collection[str] = self._paces.keys()
        """Names of the engines that accept jobs."""

    def of(self, engine: str | None) -> float:
        """Return the workload units per second of one engine.

        Until the engine has run enough jobs, or if it is not known, return the median of the other engines. Return 0
        before any engine has run enough jobs.
        """
        pace = self._paces.get(engine) if engine else None
        if pace is not None and pace.units_per_s:
            return pace.units_per_s
        speeds = [pace.units_per_s for pace in self._paces.values() if pace.units_per_s]
        return median(speeds) if speeds else 0.0

    @property
    def units_per_s(self) -> float:
        """Workload units per second of all engines that are alive together."""
        return sum(self.of(name) for name in self.alive)

    @property
    def share(self) -> float:
        """Speed of the engines that are alive, divided by the speed of all engines: from 0 to 1."""
        total = sum(self.of(name) for name in self._paces)
        # Before any engine has run enough jobs, all engines count as equally fast.
        return self.units_per_s / total if total else len(self.alive) / len(self._paces)

    def record(self, engine: str | None, workload: float, generating_s: float) -> None:
        """Record a finished job: its workload, and the seconds that it took on this engine.

        None stands for the only engine. An unknown engine is ignored.
        """
        pace = self._paces.get(engine or ONLY)
        if pace is not None:
            pace.record(workload, generating_s)
