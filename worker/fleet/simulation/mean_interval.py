"""The mean over several seeds, and how sure it is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""Student's t for 95 %, two-sided, with 1 to 10 degrees of freedom."""
_T_95_MORE = 2.228
"""For more of them: that of 10, so that the interval is rather too wide."""


@dataclass(frozen=True, slots=True)
class MeanInterval:
    """A mean, and the 95 % interval of it by Student's t. With one value, the interval is that value."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> MeanInterval:
        """Return the mean and the interval of at least one value. An infinite value makes all of it infinite."""
        mean = statistics.fmean(values)
        if len(values) == 1 or math.isinf(mean):
            return cls(mean, mean, mean)
        freedom = len(values) - 1
        factor = _T_95[freedom - 1] if freedom <= len(_T_95) else _T_95_MORE
        half = factor * statistics.stdev(values) / math.sqrt(len(values))
        return cls(mean, mean - half, mean + half)

    def __str__(self) -> str:
        """Return the mean and half the width of the interval."""
        return f"{self.mean:.3g} ± {self.high - self.mean:.2g}"
