"""The course of a run over time, as lines of a plot."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from worker.fleet.simulation.life import LifeInterval
from worker.fleet.simulation.outcome import FleetOutcome
from worker.fleet.simulation.study.study import CaseResult
from worker.fleet.simulation.summary import quantile

POINTS = 240
"""Points of a line, which is more than a panel can show."""
BINS = 72
"""Bins of arrivals. Each needs enough jobs for a quantile."""


@dataclass(frozen=True, slots=True)
class RunSeries:
    """Lines of one run. Times are seconds since its start.

    Attributes:
        name: Name of the case.
        bin_s: Starts of the bins of arrivals.
        wait_p95_s: 95 % quantile of the waits of the jobs that arrived in each bin. NaN without jobs, infinite when
            more than 5 % of them failed.
        demand: Workers that the arrivals of each bin keep busy.
        sample_s: Times of the next two.
        ready: Workers that take jobs.
        starting: Workers that are being created, started or loaded.
        point_s: Times of the next two.
        waiting: Jobs that have arrived and not started.
        usd: Dollars up to then, empty without a price.
    """

    name: str
    bin_s: list[float]
    wait_p95_s: list[float]
    demand: list[float]
    sample_s: list[float]
    ready: list[int]
    starting: list[int]
    point_s: list[float]
    waiting: list[int]
    usd: list[float]


def series_of(result: CaseResult) -> RunSeries:
    """Return the lines of the run with the first seed."""
    outcome = result.outcome
    width_s = max(outcome.ended_s, 1.0) / BINS
    point_s = [outcome.ended_s * number / POINTS for number in range(POINTS + 1)]
    waits, work = _by_bin(outcome, width_s)
    speed = result.case.scenario.speed
    return RunSeries(
        name=result.case.name,
        bin_s=[number * width_s for number in range(BINS)],
        wait_p95_s=[quantile(sorted(waits[number]), 0.95) if waits[number] else math.nan for number in range(BINS)],
        demand=[work[number] / speed / width_s for number in range(BINS)],
        sample_s=[sample.at_s for sample in outcome.samples],
        ready=[sample.ready for sample in outcome.samples],
        starting=[sample.starting for sample in outcome.samples],
        point_s=point_s,
        waiting=_waiting(outcome, point_s),
        usd=_usd(result, point_s),
    )


def _by_bin(outcome: FleetOutcome, width_s: float) -> tuple[dict[int, list[float]], dict[int, float]]:
    """Return the waits of the jobs that arrived in each bin, and their work in seconds on an RTX 4090."""
    waits: dict[int, list[float]] = defaultdict(list)
    work: dict[int, float] = defaultdict(float)
    for job, record in zip(outcome.jobs, outcome.records(), strict=True):
        number = min(int(job.at_s / width_s), BINS - 1)
        waits[number].append(record.wait_s if record.is_served else math.inf)
        work[number] += job.seconds
    return waits, work


def _waiting(outcome: FleetOutcome, point_s: Sequence[float]) -> list[int]:
    """Return the number of jobs that have arrived and not started at each point. A failed job never waits."""
    started = [record for record in outcome.records() if record.is_served]
    arrivals = sorted(record.arrival_s for record in started)
    starts = sorted(record.start_s for record in started)
    return [bisect_right(arrivals, at_s) - bisect_right(starts, at_s) for at_s in point_s]


def _usd(result: CaseResult, point_s: Sequence[float]) -> list[float]:
    """Return the dollars up to each point: the bill of the run, spread over the time in which a GPU was billed."""
    billed = result.case.scenario.platform.billed
    lives = result.outcome.lives
    intervals = [interval for life in lives for interval in life.intervals if interval.state in billed]
    total_s = sum(interval.seconds for interval in intervals)
    if result.bill is None or not total_s:
        return []
    return [seconds / total_s * result.bill.total for seconds in _seconds_before(intervals, point_s)]


def _seconds_before(intervals: Sequence[LifeInterval], point_s: Sequence[float]) -> list[float]:
    """Return the seconds of all intervals up to each point."""
    starts = sorted(interval.start_s for interval in intervals)
    ends = sorted(interval.end_s for interval in intervals)
    start_sums, end_sums = [0.0, *accumulate(starts)], [0.0, *accumulate(ends)]
    seconds = []
    for at_s in point_s:
        begun, ended = bisect_right(starts, at_s), bisect_right(ends, at_s)
        seconds.append(at_s * (begun - ended) - start_sums[begun] + end_sums[ended])
    return seconds
