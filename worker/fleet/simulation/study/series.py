"""The course of a run over time, as lines of a plot."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from worker.fleet.simulation.life import LifeState
from worker.fleet.simulation.outcome import FleetOutcome
from worker.fleet.simulation.study.study import CaseResult
from worker.fleet.simulation.summary import quantile

BINS = 48
"""Bins of arrivals. Each needs enough jobs for a quantile."""
STEPS = 240
"""Steps of all other lines, which is what a panel can show."""
READY = (LifeState.READY, LifeState.DRAINING)
STARTING = (LifeState.CREATING, LifeState.LOADING, LifeState.STARTING)

Times = Iterable[tuple[float, float]]
"""Starts and ends, in seconds."""


@dataclass(frozen=True, slots=True)
class RunSeries:
    """Lines of one run. Times are seconds since its start.

    Attributes:
        name: Name of the case.
        about: What its autoscaler does.
        bin_s: Edges of the bins of arrivals, one more than there are bins.
        wait_p95_s: 95 % quantile of the waits of the jobs that arrived in each bin. NaN without jobs, infinite when
            more than 5 % of them failed.
        demand: Workers that the arrivals of each bin keep busy.
        step_s: Edges of the steps, one more than there are steps.
        ready: Mean number of workers that take jobs, in each step.
        starting: Mean number of workers that are being created, started or loaded.
        waiting: Mean number of jobs that have arrived and not started.
        usd: Dollars up to each edge of the steps, empty without a price.
    """

    name: str
    about: str
    bin_s: list[float]
    wait_p95_s: list[float]
    demand: list[float]
    step_s: list[float]
    ready: list[float]
    starting: list[float]
    waiting: list[float]
    usd: list[float]


def series_of(result: CaseResult) -> RunSeries:
    """Return the lines of the run with the first seed."""
    outcome = result.outcome
    length_s = max(outcome.ended_s, 1.0)
    bin_s = [length_s * number / BINS for number in range(BINS + 1)]
    step_s = [length_s * number / STEPS for number in range(STEPS + 1)]
    waits, work = _by_bin(outcome, length_s / BINS)
    speed_s = result.case.scenario.speed * length_s / BINS
    started = ((record.arrival_s, record.start_s) for record in outcome.records() if record.is_served)
    return RunSeries(
        name=result.case.name,
        about=result.case.about,
        bin_s=bin_s,
        wait_p95_s=[quantile(sorted(waits[number]), 0.95) if waits[number] else math.nan for number in range(BINS)],
        demand=[work[number] / speed_s for number in range(BINS)],
        step_s=step_s,
        ready=_mean_number(_in_states(outcome, READY), step_s),
        starting=_mean_number(_in_states(outcome, STARTING), step_s),
        waiting=_mean_number(started, step_s),
        usd=_usd(result, step_s),
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


def _in_states(outcome: FleetOutcome, states: Collection[LifeState]) -> Times:
    """Yield the times in which workers were in one of these states."""
    for life in outcome.lives:
        yield from ((interval.start_s, interval.end_s) for interval in life.intervals if interval.state in states)


def _usd(result: CaseResult, edges_s: Sequence[float]) -> list[float]:
    """Return the dollars up to each edge: the bill of the run, spread over the time in which a GPU was billed."""
    seconds = _seconds_before(_in_states(result.outcome, result.case.scenario.platform.billed), edges_s)
    if result.bill is None or not seconds[-1]:
        return []
    return [part / seconds[-1] * result.bill.total for part in seconds]


def _mean_number(times: Times, edges_s: Sequence[float]) -> list[float]:
    """Return how many of the times include a moment between two edges, in the mean."""
    before = _seconds_before(times, edges_s)
    widths = (end - start for start, end in pairwise(edges_s))
    return [max(0.0, last - first) / width for (first, last), width in zip(pairwise(before), widths, strict=True)]


def _seconds_before(times: Times, edges_s: Sequence[float]) -> list[float]:
    """Return the seconds of all times together up to each edge."""
    pairs = [*times]
    starts, ends = sorted(start for start, _ in pairs), sorted(end for _, end in pairs)
    start_sums, end_sums = [0.0, *accumulate(starts)], [0.0, *accumulate(ends)]
    seconds = []
    for at_s in edges_s:
        begun, ended = bisect_right(starts, at_s), bisect_right(ends, at_s)
        seconds.append(at_s * (begun - ended) - start_sums[begun] + end_sums[ended])
    return seconds
