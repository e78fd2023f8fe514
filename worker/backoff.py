"""Exponential backoff with jitter for retries."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

STEPS = 64
"""Number of doublings after which the factor is not raised further, because the float would overflow."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff with equal jitter.

    A pause is between half of its step and the whole step, so that clients that failed together do not retry together.
    `chance` returns numbers from 0 to 1.
    """

    first_s: float
    longest_s: float
    factor: float = 2.0
    chance: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after this number of failures in a row. The number is at least 1."""
        step_s = min(self.longest_s, self.first_s * self.factor ** min(max(failures, 1) - 1, STEPS))
        return step_s / 2 + step_s / 2 * self.chance()

    def pauses(self) -> Iterator[float]:
        """Yield the pauses after the first failure, the second and so on, without end."""
        return map(self.pause, itertools.count(1))
