"""Predicted seconds, with their uncertainty."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import NormalDist

NORMAL = NormalDist()
Z90 = 1.2816
"""The 90 % quantile of the standard normal distribution."""
FAR = 4.0
"""Standard deviations beyond which the tail of the normal distribution is as good as exponential."""
LEAST_SPREAD = 0.01
"""Smallest standard deviation of a logarithm that is computed with."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """Predicted seconds of something that will run: the median, and what it keeps to in nine of ten cases."""

    p50_s: float
    p90_s: float

    def __add__(self, other: Prediction) -> Prediction:
        """Return the prediction of both, one after the other.

        The 90 % quantiles are added, as if both were off in the same direction: what they have in common, such as the
        machine or an unknown model, is most of their uncertainty.
        """
        return Prediction(self.p50_s + other.p50_s, self.p90_s + other.p90_s)

    def at_most(self, seconds: float) -> Prediction:
        """Return the prediction of something that ends after `seconds` in any case."""
        return self if self.p90_s <= seconds else Prediction(min(self.p50_s, seconds), min(self.p90_s, seconds))

    def after(self, elapsed_s: float) -> Prediction:
        """Return the seconds that are left of something that has run for `elapsed_s` seconds and has not ended.

        The seconds have a log-normal distribution, of which the part above `elapsed_s` is left. So the result never
        becomes 0: something that takes longer than expected is expected to take a while longer.
        """
        if self.p50_s <= 0 or elapsed_s <= 0:
            return self
        spread = max(math.log(max(self.p90_s / self.p50_s, 1.0)) / Z90, LEAST_SPREAD)
        deviations = math.log(elapsed_s / self.p50_s) / spread

        def left_s(quantile: float) -> float:
            """Return a quantile of the seconds that are left."""
            if deviations > FAR:
                further = -math.log(1.0 - quantile) / deviations
                return elapsed_s * math.expm1(spread * further)
            ended = NORMAL.cdf(deviations)
            return self.p50_s * math.exp(spread * NORMAL.inv_cdf(ended + (1.0 - ended) * quantile)) - elapsed_s

        return Prediction(max(left_s(0.5), 0.0), max(left_s(0.9), 0.0))


NOTHING = Prediction(0.0, 0.0)
"""The prediction for something that takes no time."""


def total(predictions: Iterable[Prediction]) -> Prediction:
    """Return the prediction of several things, one after the other."""
    return sum(predictions, NOTHING)
