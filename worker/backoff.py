"""The pauses between tries: each longer than the one before, up to a longest, and random by half."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

STEPS = 64
"""More steps would only overflow the float."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off with equal jitter.

    A pause lasts between half of its step and the whole of it, so that clients that failed together do not come back
    together. `chance` returns numbers from 0 to 1.
    """

    first_s: float
    longest_s: float
    factor: float = 2.0
    chance: Callable[[], float] = field(default=random.random, repr=False, compare=False)

    def pause(self, failures: int) -> float:
        """Return the seconds to wait after this many failures in a row, at least one."""
        step_s = min(self.longest_s, self.first_s * self.factor ** min(max(failures, 1) - 1, STEPS))
        return step_s / 2 + step_s / 2 * self.chance()

    def pauses(self) -> Iterator[float]:
        """Yield the pauses after the first failure, the second, and so on, without end."""
        return map(self.pause, itertools.count(1))
