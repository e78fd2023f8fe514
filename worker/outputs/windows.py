"""Whose a file is that no node reported: ComfyUI runs one prompt at a time, so the time of the file tells. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

CLOCK_TICK_MS = time.clock_getres(time.CLOCK_REALTIME_COARSE) * 1000 if hasattr(time, "CLOCK_REALTIME_COARSE") else 16
"""By how much the time that a file system gives a file may lie before the time at which it was written."""


@dataclass(slots=True, eq=False)
class Window:
    """A prompt's time in ComfyUI, by ComfyUI's clock, in milliseconds since the epoch.

    `end` is None while it runs. `apart`: no other prompt of this worker was near. Else those before and after it may
    have begun and ended within the same tick, and what was written then cannot be told from theirs. `kept` turns False
    once nobody will collect its files any more: the job has them, failed, was cancelled, or runs again. `owing`: a node
    that writes files left none, so that one may still come.
    """

    start: float
    apart: bool = False
    end: float | None = None
    kept: bool = True
    owing: bool = False

    def holds(self, changed_ms: float) -> bool:
        """Whether a file of this time is the prompt's.

        It was written at that time or up to a tick later. ComfyUI's times are cut down to whole milliseconds.
        """
        first = self.start - CLOCK_TICK_MS if self.apart else self.start + 1
        return first <= changed_ms and (self.end is None or changed_ms < self._last(self.end))

    def over_before(self, changed_ms: float) -> bool:
        """Whether it holds no file of that time or a later one."""
        return self.end is not None and changed_ms >= self._last(self.end)

    def _last(self, end: float) -> float:
        return end + 1 if self.apart else end - CLOCK_TICK_MS


def owner(changed_ms: float, windows: Sequence[Window]) -> Window | None:
    """Return the prompt that wrote a file of this time; None where that is no prompt, or cannot be told.

    `windows` are in the order in which the prompts started, so that only the latest have to be looked at.
    """
    found: list[Window] = []
    for window in reversed(windows):
        if window.holds(changed_ms):
            found.append(window)
        elif window.end is not None and window.end + 1 < changed_ms:
            break
    return found[0] if len(found) == 1 else None
