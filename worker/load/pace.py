"""How fast engines work, in workload units a second, learned from the last finished jobs."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from statistics import median

REMEMBERED, ENOUGH = 9, 3
"""Jobs whose speed is remembered, and how many of them are enough to say something."""
ONLY = "engine-0"
"""The name of the engine where there is one."""


class Pace:
    """The pace of one engine.

    The median: a job that had to load its models first says nothing of those behind it.
    """

    def __init__(self, *seen: float) -> None:
        self._seen: deque[float] = deque(seen, maxlen=REMEMBERED)

    @property
    def units_per_s(self) -> float:
        """0 before there were enough jobs to say."""
        return median(self._seen) if len(self._seen) >= ENOUGH else 0.0

    def record(self, workload: float, generating_s: float) -> None:
        if generating_s > 0:
            self._seen.append(workload / generating_s)


class Paces:
    """The pace of each engine by its name, and of those together that are alive.

    An engine that has not run enough jobs yet counts as the median of the others.
    """

    def __init__(self, paces: Mapping[str, Pace] | None = None) -> None:
        self._paces = dict(paces or {ONLY: Pace()})
        self.alive: Collection[str] = self._paces.keys()
        """Names of the engines that take jobs."""

    def of(self, engine: str | None) -> float:
        """Units a second of one engine; 0 before anything was measured."""
        pace = self._paces.get(engine or "")
        if pace is not None and pace.units_per_s:
            return pace.units_per_s
        known = [one.units_per_s for one in self._paces.values() if one.units_per_s]
        return median(known) if known else 0.0

    @property
    def units_per_s(self) -> float:
        """Of all that are alive together."""
        return sum(self.of(name) for name in self.alive)

    @property
    def share(self) -> float:
        """The part of all engines' speed that those have which are alive, from 0 to 1."""
        every = sum(self.of(name) for name in self._paces)
        return self.units_per_s / every if every else len(self.alive) / len(self._paces)

    def record(self, engine: str | None, workload: float, generating_s: float) -> None:
        """Take in a finished job."""
        pace = self._paces.get(engine or ONLY)
        if pace is not None:
            pace.record(workload, generating_s)
