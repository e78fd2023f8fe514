"""Where the time goes from the container's start until this worker is ready."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

FRESH_S = 600.0
"""Process 1 that is so much older than this one is a machine's, not a container's that was started for it."""


class StartupTiming:
    """Named stretches that follow each other without a gap; seconds. The first begins where the container does."""

    def __init__(self, first: float | None = None, own: float | None = None) -> None:
        """`first` and `own` are when process 1 and this process began, as the clock of `now` says."""
        own = process_started_at("self") if own is None else own
        first = process_started_at("1") if first is None else first
        self._fresh = 0 <= own - first < FRESH_S
        self._begin = first if self._fresh else own
        self._last = self._begin
        self._timing: dict[str, float] = {}
        if self._fresh:
            self.mark("before", own)

    @classmethod
    def begin(cls) -> StartupTiming:
        """Python and the imports are over."""
        timing = cls()
        timing.mark("python")
        return timing

    def mark(self, name: str, at: float | None = None) -> None:
        """This stage ends here. One that was marked before is left as it was."""
        at = now() if at is None else at
        if name not in self._timing:
            self._timing[name] = at - self._last
            self._last = at

    @property
    def seconds(self) -> Mapping[str, float]:
        return {name: round(spent, 3) for name, spent in self._timing.items()}

    def __str__(self) -> str:
        """`41.2 s after the container's start: before 0.3, python 0.6, gateway 0.1, engine 12.1, models 0.0`"""
        whose = "the container's" if self._fresh else "the process's"
        parts = ", ".join(f"{name} {spent:.1f}" for name, spent in self._timing.items())
        return f"{self._last - self._begin:.1f} s after {whose} start: {parts}"


def now() -> float:
    """Seconds since the machine was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def process_started_at(process: str) -> float:
    """When a process began; now, where the system does not say."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return now()
