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

    A pause is `first_s` times a power of `factor`, but at most `longest_s` seconds. It is shortened by up to a half at
    random, so that clients that failed together do not retry together. `chance` returns numbers from 0 to 1.
    """

    first_s: float
    longest_s: float
    factor: float = 2.0
    chance: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after this number of failures in a row. A number below 1 counts as 1.

        The result is random, between half of the full pause and the full pause.
        """
        exponent = min(max(failures, 1) - 1, STEPS)
        full_s = min(self.longest_s, self.first_s * self.factor**exponent)
        return full_s / 2 + full_s / 2 * self.chance()

    def pauses(self) -> Iterator[float]:
        """Yield the pauses after the first failure, the second and so on, without end."""
        return map(self.pause, itertools.count(1))
