"""Estimates how much longer nodes take than the closed form says, as effects of a tree.

All effects are logarithms of a factor: 0 means "as predicted", log(2) means "twice as long". The effect of a node is
the sum of the deviations on its branch: GPU class, kind, family, precision, shape. What one shape teaches also moves
the shapes beside it, less for each level that they are apart.

The tree is a linear mixed model with nested random effects. Each effect holds the precision and the weighted sum of
what lies below it, which makes learning and predicting exact, in time proportional to the depth of the tree. Separate
means and variances of all effects, as in a diagonal Kalman filter, would neglect that the effects of a branch are
estimated together: the variances then shrink slowly, and the last run counts too much. On synthetic jobs its median
error was 5.0 % instead of 3.3 % for the second and third run of a shape, and 3.1 % instead of 2.3 % after 50 runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import NamedTuple, Self

MEMORY = 20.0
"""Runs of a shape that it remembers: older ones fade, so that slow changes are followed."""
CLIP = 2.5
"""Standard deviations beyond which a residual counts no more: it may be an outlier."""
TRUSTED_RUNS = 3
"""Runs of a shape after which a residual may be clipped. Before, the effect itself may be wrong by far."""
EARLY_RUNS = 5
"""First runs of a shape whose median counts, because one of them may be an outlier."""
SETTLED = 0.1
"""Largest difference of a known effect to what the runs of its shape alone show."""
STREAK = 6
"""Number of clipped residuals of one sign in a row that show that the shape has changed."""
NOISE_RUNS, NOISE_MEMORY = 4.0, 50.0
"""Runs that the noise of a new shape counts as, and runs that the noise of a shape remembers."""
NOISE_FLOOR = 0.0004
"""Smallest variance of the noise: 2 % of the seconds."""
NOISE_CLIP = 9.0
"""Largest squared residual that teaches the noise, as a multiple of its variance."""
LEAST_TOGETHER = 0.25
"""Smallest variance of jobs, divided by that of independent nodes."""


class Moments(NamedTuple):
    """Mean and variance of an effect."""

    mean: float
    variance: float


@dataclass(slots=True, eq=False)
class Effect:
    """The deviation of a branch from the branch above it. `spread` is its variance before anything is learned."""

    spread: float
    parent: Effect | None = None
    precision: float = 0.0
    """Precision (1 / variance) of what the effects below, or the runs of a shape, say about the sum down to here."""
    pull: float = 0.0
    """Their mean, times `precision`."""
    reach: float = math.inf
    """Largest mean that the branch above believes. Without a limit, one node that costs nearly nothing, although the
    closed form expects hours, would make all models that never ran look free."""

    told: tuple[float, float] = (0.0, 0.0)
    """The precision and the pull that the branch above learns from this one.

    A branch can tell only as much as its own deviation allows: a precision of at most 1 / spread.
    """

    def absorb(self, precision: float, pull: float) -> None:
        """Add information about the sum of effects down to here, and pass it up the branch."""
        effect: Effect | None = self
        while effect is not None:
            effect.precision = all_precision = max(effect.precision + precision, 0.0)
            effect.pull = all_pull = effect.pull + pull
            shrink = 1.0 + all_precision * effect.spread
            most = all_precision * effect.reach if all_precision else 0.0
            says, says_pull = all_precision / shrink, min(max(all_pull, -most), most) / shrink
            precision, pull = says - effect.told[0], says_pull - effect.told[1]
            effect.told = says, says_pull
            effect = effect.parent


@dataclass(slots=True, eq=False)
class ShapeEffect(Effect):
    """The lowest effect of a branch: nodes that cost the same, except for noise."""

    runs: float = 0.0
    imported: float = 0.0
    """Runs that it was imported with."""
    noise: float = 0.03
    """Variance of the logarithm of one run."""
    together: float = 1.0
    """Variance of the jobs in which this is the largest node, divided by that of independent nodes."""
    streak: int = 0
    """Clipped residuals of one sign in a row, negative if the runs were faster."""
    early: list[float] = field(default_factory=list)
    """The effects that the first runs showed."""
    early_precision: float = 0.0
    branch: tuple[Effect, ...] = field(default=(), repr=False)
    """The effects from the root to this one."""

    @classmethod
    def below(cls, parent: Effect | None, spread: float, noise: float, reach: float) -> Self:
        """Return a shape of which no run is known."""
        shape = cls(spread, parent, noise=noise, reach=reach)
        branch: list[Effect] = []
        effect: Effect | None = shape
        while effect is not None:
            branch.append(effect)
            effect = effect.parent
        shape.branch = tuple(reversed(branch))
        return shape

    def moments(self) -> Moments:
        """Return mean and variance of the sum of all effects of the branch, from everything learned so far."""
        mean, variance = 0.0, self.branch[0].spread
        for effect, child in pairwise(self.branch):
            # What the branch says without this child, whose own information comes in further down.
            told, told_pull = child.told
            precision = 1.0 / variance + effect.precision - told
            mean = (mean / variance + effect.pull - told_pull) / precision
            variance = 1.0 / precision + child.spread
        precision = 1.0 / variance + self.precision
        return Moments((mean / variance + self.pull) / precision, 1.0 / precision)

    def is_known(self, mean: float) -> bool:
        """Return whether `mean`, that of `moments`, is what the runs of this shape show.

        After a few runs this is so, unless the shape is very far from its relatives: then they still pull it.
        """
        return self.runs >= EARLY_RUNS and abs(self.pull - mean * self.precision) <= SETTLED * self.precision

    def clipped(self, residual: float, deviation: float) -> float:
        """Return a residual, limited to `CLIP` deviations if enough runs are known.

        A streak of residuals beyond the limit means that the shape itself has changed: then its runs are forgotten.
        """
        limit = CLIP * deviation
        if self.runs < TRUSTED_RUNS or abs(residual) <= limit:
            self.streak = 0
            return residual
        sign = 1 if residual > 0 else -1
        self.streak = self.streak + sign if self.streak * sign >= 0 else sign
        if abs(self.streak) < STREAK:
            return sign * limit
        self.streak, self.runs, self.imported, self.early, self.early_precision = 0, 0.0, 0.0, [], 0.0
        self.absorb(-self.precision, -self.pull)
        return residual

    def learn(self, effect: float, variance: float, *, is_vague: bool = False) -> None:
        """Learn the effect that one run shows, with the variance of that observation.

        The median of the first runs counts, except for vague observations, which count by their variance alone.
        """
        self.runs += 1.0
        precision = 1.0 / variance
        if is_vague or len(self.early) >= EARLY_RUNS:
            fade = 1.0 / MEMORY if self.runs > EARLY_RUNS else 0.0
            self.absorb(precision - fade * self.precision, precision * effect - fade * self.pull)
            return
        before = self.early_precision * median(self.early) if self.early else 0.0
        self.early.append(effect)
        self.early_precision += precision
        self.absorb(precision, self.early_precision * median(self.early) - before)

    def learn_noise(self, residual: float, variance: float) -> None:
        """Learn the noise from a residual of a run. `variance` is the variance of the prediction without noise."""
        total = variance + self.noise
        expected = (residual * self.noise / total) ** 2 + self.noise * variance / total
        step = 1.0 / min(NOISE_RUNS + self.runs, NOISE_MEMORY)
        self.noise += step * (min(expected, NOISE_CLIP * self.noise) - self.noise)
        self.noise = max(self.noise, NOISE_FLOOR)

    def learn_together(self, variance: float) -> None:
        """Learn from a job how slow its nodes are together. `variance` is 1 on average if they are independent."""
        step = 1.0 / min(NOISE_RUNS + self.runs, NOISE_MEMORY)
        self.together += step * (min(variance, NOISE_CLIP * self.together) - self.together)
        self.together = max(self.together, LEAST_TOGETHER)


@dataclass(slots=True)
class Belief:
    """A single effect that may change with time, such as a machine's: a Kalman filter of one variable."""

    mean: float
    variance: float
    drift: float
    """Variance that each observation adds."""
    runs: float = 0.0

    def learn(self, residual: float, total: float) -> None:
        """Move toward a residual. `total` is the variance of the whole prediction, with this effect and the noise."""
        gain = self.variance / total
        self.mean += gain * residual
        self.variance += self.drift - gain * self.variance
        self.runs += 1.0
