"""A bill: what a platform charges, by item."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

NEARLY = 1e-6
"""Seconds by which a time may exceed a whole number of steps without starting another step: errors of rounding."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Amounts in US dollars. `other` is traffic.

    `unpriced` names the items that were used but have no known price, so that they are missing in the total.
    """

    gpu: float = 0.0
    cpu: float = 0.0
    memory: float = 0.0
    storage: float = 0.0
    other: float = 0.0
    unpriced: tuple[str, ...] = ()

    @property
    def total(self) -> float:
        """Sum of all items with a known price."""
        return self.gpu + self.cpu + self.memory + self.storage + self.other

    def __add__(self, more: Self) -> Self:
        return type(self)(
            self.gpu + more.gpu,
            self.cpu + more.cpu,
            self.memory + more.memory,
            self.storage + more.storage,
            self.other + more.other,
            tuple(dict.fromkeys((*self.unpriced, *more.unpriced))) if more.unpriced else self.unpriced,
        )


def rounded_up(seconds: float, step_s: float) -> float:
    """Return seconds, rounded up to a whole number of steps."""
    return math.ceil((seconds - NEARLY) / step_s) * step_s if seconds > 0 else 0.0
