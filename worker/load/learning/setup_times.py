"""Learns how long an engine needs before the first node of a run: it checks its cache and orders the nodes."""

from __future__ import annotations

from collections import deque
from statistics import median

RUNS = 25
"""Runs whose median counts. One of them may have met a busy processor."""


class SetupTimes:
    """The seconds before the first node, for each engine."""

    def __init__(self) -> None:
        self._seconds: dict[str, deque[float]] = {}

    def learn(self, engine: str, seconds: float) -> None:
        """Add a run."""
        self._seconds.setdefault(engine, deque(maxlen=RUNS)).append(max(seconds, 0.0))

    def predict(self, engine: str) -> float:
        """Return the seconds of the next run, 0 before the first one."""
        seconds = self._seconds.get(engine)
        return median(seconds) if seconds else 0.0
