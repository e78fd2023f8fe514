"""Prices public measurements by the closed form, and predicts them from one measurement of the same GPU."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.load.speed.datasheets import DATA_SHEETS, DataSheet
from bench.load.speed.point import SpeedPoint
from bench.load.speed.prompts import prompt_of
from worker.load.node_work import NodeKind
from worker.load.work import job_work
from worker.workflow.templates.template import Library

LAUNCHES = [0.5 + 0.1 * step for step in range(11)]
"""Factors of the seconds that do not depend on the GPU, of which the best on the other GPUs is taken."""
REACHED = [0.6 + 0.05 * step for step in range(13)]
TRAFFIC = [0.5 * step for step in range(13)]
"""Parts of the TFLOPS that a GPU may reach, and GB that may move for 10^12 operations, of which the best are taken."""
SHARES = [math.exp(step / 50) for step in range(-100, 101)]
"""Speeds of a GPU, relative to the one that its data sheet suggests, of which the most likely is taken."""
FEWEST = 2
"""Fewest points of a GPU that says something about the constants."""
TO_SIGMA = 1.4826
"""Standard deviation of a normal distribution, divided by the median of the absolute deviations."""


@dataclass(frozen=True, slots=True)
class PricedPoint:
    """A measurement and its price: the work for the GPU, and the seconds that any GPU needs."""

    point: SpeedPoint
    tflop: float
    fixed_s: float

    def seconds(self, tflops: float, launches: float) -> float:
        """Return the predicted seconds on a GPU of this speed."""
        return self.tflop / tflops + launches * self.fixed_s

    def speed(self, launches: float) -> float:
        """Return the speed of the GPU at which the prediction is what was measured, or NaN if there is none."""
        rest = self.point.seconds - launches * self.fixed_s
        return self.tflop / rest if rest > 0 else math.nan


@dataclass(frozen=True, slots=True)
class Constants:
    """What the points of the other GPUs say.

    `launches` is a factor of the seconds that do not depend on the GPU. A GPU reaches the part `reached` of the TFLOPS
    in its data sheet, and moves `traffic` GB for 10^12 operations. `speed_sigma` is the spread of speeds around this
    rule, and `sigma` that of points around the speed of their GPU, both as natural logarithms.
    """

    launches: float
    reached: float
    traffic: float
    speed_sigma: float
    sigma: float

    def speed(self, sheet: DataSheet) -> float:
        """Return the expected speed of a GPU: the time of computing and that of the memory add up."""
        return _rule(sheet, self.reached, self.traffic)


@dataclass(frozen=True, slots=True)
class Pair:
    """A prediction of one point from another point of the same GPU. `ratio` is predicted / measured."""

    source: SpeedPoint
    target: SpeedPoint
    ratio: float

    @property
    def is_close(self) -> bool:
        """Whether the prediction is within a factor of 1.5."""
        return 1 / 1.5 <= self.ratio <= 1.5

    @property
    def same_family(self) -> bool:
        """Whether both points are of one model family."""
        return self.source.family == self.target.family


def price(point: SpeedPoint, library: Library) -> PricedPoint:
    """Return the price of a measurement.

    If only the sampler was measured, the other nodes do not count. The time to write files is in few of the sources.
    """
    nodes = job_work(prompt_of(point, library)).nodes
    counted = [node for node in nodes if node.kind is not NodeKind.SAVE]
    if point.kind == "sampling":
        counted = [node for node in nodes if node.kind is NodeKind.SAMPLER]
    return PricedPoint(point, sum(node.tflop for node in counted), sum(node.fixed_s for node in counted))


def by_gpu(priced: Sequence[PricedPoint]) -> dict[str, list[PricedPoint]]:
    """Return the points of each GPU."""
    groups: defaultdict[str, list[PricedPoint]] = defaultdict(list)
    for each in priced:
        groups[each.point.gpu].append(each)
    return dict(groups)


def fitted(others: Mapping[str, Sequence[PricedPoint]]) -> Constants:
    """Return the constants that fit the plain points of these GPUs best."""
    plain = {gpu: [each for each in points if each.point.is_plain] for gpu, points in others.items()}
    used = {gpu: points for gpu, points in plain.items() if len(points) >= FEWEST}
    fits = [(_errors(used, launches), launches) for launches in LAUNCHES]
    errors, launches = min(fits, key=lambda fit: statistics.fmean(fit[0]))
    speeds = {gpu: _speed_of(points, launches) for gpu, points in used.items()}
    rules = [(_rule_errors(speeds, reached, traffic), reached, traffic) for reached in REACHED for traffic in TRAFFIC]
    rule_errors, reached, traffic = min(rules, key=lambda rule: statistics.fmean(rule[0]))
    spreads = [TO_SIGMA * statistics.median(each) for each in (rule_errors, errors)]
    return Constants(launches, reached, traffic, *spreads)


def _rule(sheet: DataSheet, reached: float, traffic: float) -> float:
    """Return the speed that a data sheet suggests."""
    return 1.0 / (1.0 / (reached * sheet.tflops) + traffic / sheet.gbytes)


def _rule_errors(speeds: Mapping[str, float], reached: float, traffic: float) -> list[float]:
    """Return the absolute differences (natural logarithm) between speeds and what the data sheets suggest."""
    return [abs(math.log(speed / _rule(DATA_SHEETS[gpu], reached, traffic))) for gpu, speed in speeds.items()]


def _errors(points_by_gpu: Mapping[str, Sequence[PricedPoint]], launches: float) -> list[float]:
    """Return the absolute errors (natural logarithm) if each GPU has its own best speed."""
    errors = []
    for points in points_by_gpu.values():
        tflops = _speed_of(points, launches)
        errors += [abs(math.log(each.seconds(tflops, launches) / each.point.seconds)) for each in points]
    return errors


def _speed_of(points: Sequence[PricedPoint], launches: float) -> float:
    """Return the median speed of a GPU according to its points."""
    speeds = [each.speed(launches) for each in points]
    return statistics.median([speed for speed in speeds if not math.isnan(speed)] or [math.inf])


def pairs(priced: Sequence[PricedPoint]) -> list[Pair]:
    """Return the predictions of each point from each other point of its GPU.

    The constants are fitted on the other GPUs. The speed of the GPU is the most likely one after the single point,
    given its data sheet and how far such speeds and points spread on the other GPUs.
    """
    groups = by_gpu(priced)
    found = []
    for gpu, points in groups.items():
        constants = fitted({other: rest for other, rest in groups.items() if other != gpu})
        expected = constants.speed(DATA_SHEETS[gpu])
        for source in points:
            tflops = expected * _likely_share(source, expected, constants)
            found += [
                Pair(source.point, target.point, target.seconds(tflops, constants.launches) / target.point.seconds)
                for target in points
                if target is not source
            ]
    return found


def _likely_share(source: PricedPoint, expected: float, constants: Constants) -> float:
    """Return the most likely speed of a GPU after one point, relative to the expected one."""

    def cost(share: float) -> float:
        error = math.log(source.seconds(expected * share, constants.launches) / source.point.seconds)
        return (math.log(share) / constants.speed_sigma) ** 2 + (error / constants.sigma) ** 2

    return min(SHARES, key=cost)


def unseen(priced: Sequence[PricedPoint], gpu: str) -> list[tuple[SpeedPoint, float]]:
    """Return (point, predicted / measured) for the points of a GPU, from its data sheet and the other GPUs alone."""
    groups = by_gpu(priced)
    constants = fitted({other: rest for other, rest in groups.items() if other != gpu})
    tflops = constants.speed(DATA_SHEETS[gpu])
    return [(each.point, each.seconds(tflops, constants.launches) / each.point.seconds) for each in groups[gpu]]


def former_pairs(points: Sequence[SpeedPoint], workloads: Mapping[int, float]) -> list[Pair]:
    """Return the predictions of a release that had one number for each job, with the pace of one point."""
    return [
        Pair(source, target, workloads[target.id] / workloads[source.id] * source.seconds / target.seconds)
        for source in points
        for target in points
        if source is not target and source.gpu == target.gpu
    ]


def simple_pairs(priced: Sequence[PricedPoint]) -> list[Pair]:
    """Return the predictions with shipped constants if the one point alone decides the speed of the GPU."""
    found = []
    for points in by_gpu(priced).values():
        for source in points:
            speed = source.speed(1.0)
            tflops = speed if not math.isnan(speed) else math.inf
            found += [
                Pair(source.point, target.point, target.seconds(tflops, 1.0) / target.point.seconds)
                for target in points
                if target is not source
            ]
    return found
