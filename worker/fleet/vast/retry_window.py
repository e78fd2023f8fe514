"""Pauses between retries: short ones first, and none beyond a total time limit."""

from __future__ import annotations

import time

from worker.backoff import Backoff

SLEEP_S = 1.0
"""Longest single sleep in seconds."""
FIRST_S = 0.3
BRIEF_PAUSES = 7
"""Number of brief pauses at the start. They waste the least time if rejected calls do not start a new interval."""
LONG_PAUSES = Backoff(10.5, 10.5)
"""Pauses after the brief ones. Vast requires intervals of 2 to 5 s between calls, and it is unknown whether a rejected
call starts a new interval. So these pauses are longer than any interval, even when the jitter shortens them."""


class RetryWindow:
    """The pauses of one call with all its retries, which together take at most `limit_s` seconds."""

    def __init__(self, limit_s: float, first_s: float = FIRST_S) -> None:
        self._brief = Backoff(first_s, SLEEP_S)
        self._until = time.monotonic() + limit_s
        self._failures = 0

    def pause(self) -> bool:
        """Sleep before the next try and return True. Return False at once when the limit is reached."""
        self._failures += 1
        backoff = self._brief if self._failures <= BRIEF_PAUSES else LONG_PAUSES
        pause_s = min(backoff.pause(self._failures), self._until - time.monotonic())
        if pause_s <= 0:
            return False
        end = time.monotonic() + pause_s
        while (remaining := end - time.monotonic()) > 0:
            time.sleep(min(remaining, SLEEP_S))
        return True
