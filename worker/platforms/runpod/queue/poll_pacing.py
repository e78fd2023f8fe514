"""The pause between two long polls.

RunPod's SDK repeats a poll that fails, or that is answered too early, without any pause (R7).
"""

from __future__ import annotations

from http import HTTPStatus

from worker.backoff import Backoff
from worker.platforms.runpod.queue.queue_client import QueueAnswer

EARLY_S = 1.0
"""A poll that is answered with nothing before this was not held."""
EMPTY, ERRORS = Backoff(0.1, 1.0), Backoff(0.5, 15.0)
LIMITED_S = 5.0
"""Pause after 429 without `Retry-After`, as in RunPod's SDK."""


class PollPacing:
    """Returns the pause after each answer. It grows with the number of early or failed answers in a row."""

    def __init__(self) -> None:
        self.failures = 0
        self._empty = 0

    def pause(self, answer: QueueAnswer | None, count: int, held_s: float) -> float:
        """Return the seconds to wait after an answer with `count` items that took `held_s` seconds, or after none."""
        if answer is not None and answer.accepted:
            self.failures = 0
            self._empty = 0 if count or held_s >= EARLY_S else self._empty + 1
            return EMPTY.pause(self._empty) if self._empty else 0.0
        self.failures += 1
        if answer is not None and answer.status == HTTPStatus.TOO_MANY_REQUESTS:
            return answer.retry_after_s or LIMITED_S
        return ERRORS.pause(self.failures)
