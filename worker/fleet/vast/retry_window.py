"""How long to wait before asking again: briefly at first, and never beyond the limit of the whole."""

from __future__ import annotations

import time

from worker.backoff import Backoff

SLEEP_S = 1.0
"""The longest single sleep."""
FIRST_S = 0.3
BRIEF_PAUSES = 7
"""The first pauses are brief: where refused calls don't count, they lose the least."""
PATIENT = Backoff(10.5, 10.5)
"""Vast's limits are intervals of 2 to 5 s between calls. Whether a refused call begins a new one is unknown: so in the
end each pause is longer than any of them, also where chance shortens it."""


class RetryWindow:
    """The pauses of one method, which share a limit in seconds."""

    def __init__(self, limit_s: float, first_s: float = FIRST_S) -> None:
        self._brief = Backoff(first_s, SLEEP_S)
        self._until = time.monotonic() + limit_s
        self._failures = 0

    def pause(self) -> bool:
        """Sleep a little, more each time; False, and no sleep, once the limit is reached."""
        self._failures += 1
        backoff = self._brief if self._failures <= BRIEF_PAUSES else PATIENT
        left = min(backoff.pause(self._failures), self._until - time.monotonic())
        if left <= 0:
            return False
        end = time.monotonic() + left
        while (rest := end - time.monotonic()) > 0:
            time.sleep(min(rest, SLEEP_S))
        return True
