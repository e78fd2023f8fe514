"""Averages over time that autoscalers keep: the rate at which load arrives, and the highest of recent values."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field


@dataclass(slots=True)
class SmoothedRate:
    """An exponentially weighted mean of a rate.

    Attributes:
        horizon_s: Seconds after which a value counts 1/e of a new one.
        per_s: The mean, in units a second.
    """

    horizon_s: float
    per_s: float = 0.0

    def add(self, units: float, seconds: float) -> float:
        """Add what arrived in the last `seconds`, and return the new mean."""
        weight = 1 - math.exp(-seconds / self.horizon_s)
        self.per_s += weight * (units / seconds - self.per_s)
        return self.per_s


@dataclass(slots=True)
class RecentHighest:
    """The highest value of the last `hold_s` seconds. It follows a rise at once, and a fall only after that time."""

    hold_s: float
    _values: deque[tuple[float, float]] = field(default_factory=deque)

    def add(self, now_s: float, value: float) -> float:
        """Add a value, and return the highest one that is not older than `hold_s`."""
        values = self._values
        while values and values[-1][1] <= value:
            values.pop()
        values.append((now_s, value))
        while values[0][0] < now_s - self.hold_s:
            values.popleft()
        return values[0][1]


@dataclass(slots=True)
class TickClock:
    """The time between two decisions. The first decision counts as one tick."""

    tick_s: float
    _last_s: float | None = None

    def step(self, now_s: float) -> float:
        """Return the seconds since the previous decision."""
        seconds = self.tick_s if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        return seconds
