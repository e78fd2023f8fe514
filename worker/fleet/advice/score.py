"""How good a candidate is: first whether it keeps the target in every reading and seed, then what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from worker.fleet.advice.target import AdviceTarget
from worker.fleet.advice.trial import TrialResult

NEARLY = 0.005
"""Share by which a candidate has to be better, so that a change without an effect is not made."""
FOREVER_S = 1e7
"""A wait in the place of an infinite one, so that means and comparisons stay finite."""


@dataclass(frozen=True, slots=True)
class Score:
    """A comparison of candidates by their worst reading. Smaller is better, in this order.

    Attributes:
        missed: By how much the target is missed: share of late jobs beyond the allowed one, or of dollars beyond the
            budget. 0 if it is kept.
        amount: Dollars a month with a target, seconds of wait without one.
        tie: The other one of the two.
    """

    missed: float
    amount: float
    tie: float

    def is_better(self, other: Score) -> bool:
        """Return whether this score is clearly better."""
        if self.missed < other.missed - 1e-9 or self.missed > other.missed + 1e-9:
            return self.missed < other.missed
        least = NEARLY * max(self.amount, other.amount)
        if abs(self.amount - other.amount) > least:
            return self.amount < other.amount
        return self.tie < other.tie * (1 - NEARLY)


def score_of(trials: Mapping[str, Sequence[TrialResult]], target: AdviceTarget) -> Score:
    """Return the score of a candidate, whose trials are those of one or more seeds in each reading."""
    usd = max(fmean(trial.usd_month for trial in runs) for runs in trials.values())
    wait_s = max(fmean(min(target.wait_s(t.summary.waits), FOREVER_S) for t in runs) for runs in trials.values())
    if target.wait is not None:
        allowed = 1 - target.wait.quantile
        late = max(trial.late for runs in trials.values() for trial in runs)
        return Score(max(late - allowed, 0.0), usd, wait_s)
    excess = usd / target.budget - 1 if target.budget else math.inf
    return Score(max(excess, 0.0), wait_s, usd)
