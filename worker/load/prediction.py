"""Predicted seconds, with their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

Z90 = 1.2816
"""The 90 % quantile of the standard normal distribution."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted seconds of something that will run: the median, and what it keeps to in nine of ten cases."""

    p50_s: float
    p90_s: float


NOTHING = Prediction(0.0, 0.0)
"""The prediction for something that takes no time."""
