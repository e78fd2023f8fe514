"""The time that each stage of a worker's start takes."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

FRESH_S = 600.0
"""If process 1 is this many seconds older than the worker, it belongs to a machine or an older container."""


class StartupTiming:
    """Seconds of each stage of the start, without gaps. The first stage begins with the container."""

    def __init__(self, first: float | None = None, own: float | None = None) -> None:
        """`first` and `own` are the start times of process 1 and of this process, on the clock of `now`."""
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
        """Return a timing whose stage `python` ends now, after the imports."""
        timing = cls()
        timing.mark("python")
        return timing

    def mark(self, name: str, at: float | None = None) -> None:
        """End a stage. A stage that has ended already is left as it is."""
        at = now() if at is None else at
        if name not in self._timing:
            self._timing[name] = at - self._last
            self._last = at

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of each stage, rounded."""
        return {name: round(spent, 3) for name, spent in self._timing.items()}

    def __str__(self) -> str:
        """Return a line such as `41.2 s after the container's start: before 0.3, python 0.6, gateway 0.1`."""
        origin = "the container's" if self._fresh else "the process's"
        parts = ", ".join(f"{name} {spent:.1f}" for name, spent in self._timing.items())
        return f"{self._last - self._begin:.1f} s after {origin} start: {parts}"


def now() -> float:
    """Return the seconds since the machine was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def process_started_at(process: str) -> float:
    """Return when a process was started, or the current time where the system does not report it."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return now()
