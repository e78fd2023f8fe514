"""How long to wait before asking again: briefly at first, and never beyond the limit of the whole."""

from __future__ import annotations

import time

FIRST_S = 0.25
SLEEP_S = 1.0
"""The longest single sleep."""
LONGEST_S = 6.0
"""Vast's limits are intervals of 2 to 5 s between calls. Whether a refused call begins a new one is unknown: so in the
end there is a pause that is longer than any of them."""
PATIENT_AFTER = 7
"""So many pauses of at most `SLEEP_S` come first: where refused calls don't count, they lose the least."""


class Backoff:
    """The pauses of one method, which share a limit in seconds."""

    def __init__(self, limit_s: float) -> None:
        self._until = time.monotonic() + limit_s
        self._pauses = 0

    def pause(self) -> bool:
        """Sleep a little, more each time; False, and no sleep, once the limit is reached."""
        length = FIRST_S * 2**self._pauses
        if self._pauses < PATIENT_AFTER:
            length = min(length, SLEEP_S)
        self._pauses += 1
        left = min(length, LONGEST_S, self._until - time.monotonic())
        if left <= 0:
            return False
        end = time.monotonic() + left
        while (rest := end - time.monotonic()) > 0:
            time.sleep(min(rest, SLEEP_S))
        return True
