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

    def __init__(self, container_start: float | None = None, own_start: float | None = None) -> None:
        """Begin the first stage at the start of process 1 (the container), or of this process if process 1 is old.

        The parameters are the start times of process 1 and of this process, on the clock of `now`. By default, they are
        read from the system.
        """
        own_start = process_started_at("self") if own_start is None else own_start
        container_start = process_started_at("1") if container_start is None else container_start
        self._from_container = 0 <= own_start - container_start < FRESH_S
        self._begin = container_start if self._from_container else own_start
        self._stage_start = self._begin
        self._timing: dict[str, float] = {}
        if self._from_container:
            self.mark("before", own_start)

    @classmethod
    def begin(cls) -> StartupTiming:
        """Return a timing whose stage `python` ends now, after the imports."""
        timing = cls()
        timing.mark("python")
        return timing

    def mark(self, name: str, at: float | None = None) -> None:
        """End the present stage, which gets this name, at the time `at` or now. The next stage begins.

        Nothing happens if a stage of this name has ended before.
        """
        at = now() if at is None else at
        if name not in self._timing:
            self._timing[name] = at - self._stage_start
            self._stage_start = at

    @property
    def seconds(self) -> Mapping[str, float]:
        """Seconds of each stage by its name, rounded to milliseconds."""
        return {name: round(spent, 3) for name, spent in self._timing.items()}

    def __str__(self) -> str:
        """Return a line such as `41.2 s after the container's start: before 0.3, python 0.6, gateway 0.1`."""
        origin = "the container's" if self._from_container else "the process's"
        parts = ", ".join(f"{name} {spent:.1f}" for name, spent in self._timing.items())
        return f"{self._stage_start - self._begin:.1f} s after {origin} start: {parts}"


def now() -> float:
    """Return the seconds since the machine was started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


def process_started_at(process: str) -> float:
    """Return when a process was started, on the clock of `now`, or the current time if the system does not report it.

    `process` is a process id or `self`.
    """
    try:
        # The fields after the command in parentheses begin with the third one of proc(5), and `starttime` is the 22nd.
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return now()
