"""Adds up the seconds of the nodes of a job, and compares what was predicted with what it took."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from worker.load.learning.load_times import LoadTime
from worker.load.learning.warm_times import WarmTime
from worker.load.prediction import Z90, Prediction

LARGEST_VARIANCE = 4.0
"""Largest variance of a logarithm in a prediction: with it, p90 is 13 times p50."""


@dataclass(slots=True)
class Total:
    """The median seconds of nodes that run one after the other, and their variance."""

    seconds: float = 0.0
    _shared: float = 0.0
    """Standard deviation from the effects that all nodes on the GPU share: they are wrong for all together."""
    _independent: float = 0.0
    """Variance from everything else."""
    largest: WarmTime | None = None
    """The node that takes longest."""
    loads: bool = False
    _nodes: int = 0

    def add(self, time: WarmTime) -> None:
        """Add a node whose models are loaded."""
        self._nodes += 1
        if self.largest is None or time.seconds > self.largest.seconds:
            self.largest = time
        self.seconds += time.seconds
        self._shared += time.seconds * math.sqrt(time.shared)
        self._independent += time.seconds**2 * (time.variance - time.shared + time.noise)

    def add_load(self, load: LoadTime) -> None:
        """Add the load of files."""
        self.loads = True
        self.seconds += load.seconds
        self._independent += load.seconds**2 * load.variance

    @property
    def deviation(self) -> float:
        """Standard deviation of the logarithm."""
        variance = (self._shared**2 + self._independent) / self.seconds**2 if self.seconds else 0.0
        return math.sqrt(min(variance * self.together, LARGEST_VARIANCE))

    @property
    def together(self) -> float:
        """The variance divided by that of independent nodes, as learned from jobs with the same largest node."""
        return self.largest.together if self.largest and self._nodes > 1 else 1.0

    def residual(self, seconds: float) -> float:
        """Return the logarithm of the seconds that the nodes took, divided by the predicted ones."""
        return math.log(seconds / self.seconds)


@dataclass(slots=True)
class JobOutcome:
    """What was predicted for the nodes of a job that have run so far, and the seconds that they took."""

    expected: Total = field(default_factory=Total)
    seconds: float = 0.0
    expected_gpu: Total = field(default_factory=Total)
    """Of the nodes that show the speed of the GPU: they loaded nothing, and their shapes are known."""
    gpu_seconds: float = 0.0
    _unknown: float = 0.0
    """The expected seconds of nodes whose shapes are not known well."""

    @property
    def is_typical(self) -> bool:
        """Whether nearly all of the seconds were predicted from runs of the same shapes."""
        return self._unknown < 0.1 * self.expected.seconds

    def add(self, expected: WarmTime, load: LoadTime | None, seconds: float) -> None:
        """Add a node that ran to its end."""
        self.expected.add(expected)
        self.seconds += seconds
        if load is not None:
            self.expected.add_load(load)
        elif expected.shared and expected.is_known:
            self.expected_gpu.add(expected)
            self.gpu_seconds += seconds
        if not expected.is_known:
            self._unknown += expected.seconds


class Quantiles:
    """How many standard deviations p90 is above p50, so that nine of ten jobs keep to it.

    The normal distribution's 1.28 neglects outliers. Each job that took longer than its p90 raises the number, and each
    other job lowers it a little. Jobs that load files have a number of their own: their errors have other reasons.
    """

    STEP, KEPT = 0.05, 0.91
    """Change with a job, and share of the jobs that shall keep to p90: rather too many than too few."""
    SMALLEST, LARGEST = 0.8, 3.0

    def __init__(self, warm: float = Z90, cold: float = Z90) -> None:
        self._deviations = {False: self._limited(warm), True: self._limited(cold)}

    def learn(self, expected: Total, seconds: float) -> None:
        """Learn from a job that ran."""
        exceeded = seconds > self.p90(expected).p90_s
        deviations = self._deviations[expected.loads] + self.STEP * (self.KEPT if exceeded else self.KEPT - 1.0)
        self._deviations[expected.loads] = self._limited(deviations)

    def p90(self, total: Total) -> Prediction:
        """Return the prediction of a total."""
        factor = math.exp(self._deviations[total.loads] * total.deviation)
        return Prediction(total.seconds, total.seconds * factor)

    def node_p90(self, time: WarmTime) -> Prediction:
        """Return the prediction of a single node whose models are loaded."""
        deviation = math.sqrt(min(time.variance + time.noise, LARGEST_VARIANCE))
        return Prediction(time.seconds, time.seconds * math.exp(self._deviations[False] * deviation))

    @property
    def scale(self) -> float:
        """Factor of the standard deviations of jobs that load nothing, compared with the normal distribution."""
        return self._deviations[False] / Z90

    @property
    def saved(self) -> tuple[float, float]:
        """The numbers for jobs without and with loads."""
        return round(self._deviations[False], 3), round(self._deviations[True], 3)

    def _limited(self, deviations: float) -> float:
        """Return a number within its limits."""
        return min(max(deviations, self.SMALLEST), self.LARGEST)
