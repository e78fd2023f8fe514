"""Attribution of unreported files to prompts by time. ComfyUI runs one prompt at a time. No I/O."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

CLOCK_TICK_MS = time.clock_getres(time.CLOCK_REALTIME_COARSE) * 1000 if hasattr(time, "CLOCK_REALTIME_COARSE") else 16
"""Most milliseconds by which a file's timestamp may be earlier than the time of writing."""


@dataclass(slots=True, eq=False)
class Window:
    """The time in which a prompt ran, in milliseconds since the epoch, by ComfyUI's clock.

    - `end`: None while the prompt runs.
    - `isolated`: no other prompt of this worker ran shortly before or after. Otherwise a file that was written within
      a clock tick of the start or the end may belong to the other prompt, and belongs to neither.
    - `collecting`: False when the files of the prompt are no longer collected, because the job has them, failed, was
      cancelled, or runs again.
    - `file_expected`: a node that writes files left none, so its file may still be written.
    """

    start: float
    isolated: bool = False
    end: float | None = None
    collecting: bool = True
    file_expected: bool = False

    def contains(self, changed_ms: float) -> bool:
        """Return True if a file with this timestamp belongs to the prompt.

        The file was written at its timestamp or up to one clock tick later. ComfyUI's times are whole milliseconds,
        rounded down.
        """
        first_ms = self.start - CLOCK_TICK_MS if self.isolated else self.start + 1
        return first_ms <= changed_ms and (self.end is None or changed_ms < self._limit(self.end))

    def ended_before(self, changed_ms: float) -> bool:
        """Return True if no file with this timestamp or a later one can belong to the prompt."""
        return self.end is not None and changed_ms >= self._limit(self.end)

    def _limit(self, end: float) -> float:
        """Return the first timestamp after the prompt. `end` is the time at which the prompt ended."""
        return end + 1 if self.isolated else end - CLOCK_TICK_MS


def window_of(changed_ms: float, windows: Sequence[Window]) -> Window | None:
    """Return the window of the prompt that wrote a file with this timestamp. Return None if no window fits, or several.

    `windows` must be ordered by start. Prompts run one after another, so the search stops at the last window that ended
    before the timestamp.
    """
    candidates: list[Window] = []
    for window in reversed(windows):
        if window.contains(changed_ms):
            candidates.append(window)
        elif window.end is not None and window.end + 1 < changed_ms:  # + 1 because ComfyUI's times are rounded down
            break
    return candidates[0] if len(candidates) == 1 else None
