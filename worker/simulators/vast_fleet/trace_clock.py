"""The clock of a replay. Everything outside the worker processes is in the trace's time: wall time times the speed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class TraceClock:
    """Seconds of the trace since its start. `speed` seconds of the trace pass in each second."""

    speed: float
    started: float = field(default_factory=time.monotonic)

    @property
    def now_s(self) -> float:
        """Seconds of the trace since its start."""
        return self.at(time.monotonic())

    def at(self, monotonic: float) -> float:
        """Return the trace's time at a time of `time.monotonic`."""
        return (monotonic - self.started) * self.speed

    def wall_s(self, seconds: float) -> float:
        """Return the real seconds that so many seconds of the trace take."""
        return seconds / self.speed

    async def sleep_until(self, at_s: float) -> None:
        """Wait until the trace has reached `at_s` seconds."""
        await asyncio.sleep(max(0.0, self.wall_s(at_s - self.now_s)))
