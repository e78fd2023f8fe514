"""The simulation compared with queueing theory, where theory has exact formulas: fixed workers, random arrivals."""

from __future__ import annotations

import math
import multiprocessing
import os
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from bench.fleet.part import FleetPart, FleetRow
from worker.fleet.simulation.platform import IMMEDIATE, SimulatedPlatform
from worker.fleet.simulation.policies.fixed_workers import FixedWorkers
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.scenario import FleetScenario, PoolRouting
from worker.fleet.simulation.trace import TraceJob

MEAN_S = 10.0
"""Mean seconds of a job."""
AT_MOST = 0.03
TARGET = "mean wait within 3 %"
JOBS, SHORT_JOBS = 1_000_000, 20_000
SEEDS = (1, 2, 3, 4)
"""Each is a run of its own. The more workers and the busier they are, the more the mean waits of runs differ."""


@dataclass(frozen=True, slots=True)
class QueueCase:
    """A queue with random arrivals.

    Attributes:
        workers: Number of workers.
        load: Share of the time in which they work.
        is_random: Whether durations are exponential (M/M/c), or all the same (M/D/1).
    """

    workers: int
    load: float
    is_random: bool = True

    def __str__(self) -> str:
        """Return the name in Kendall's notation."""
        return f"M/{'M' if self.is_random else 'D'}/{self.workers}, {self.load:.0%} busy"

    @property
    def exact_wait_s(self) -> float:
        """Mean wait: by Erlang C, or half of it for M/D/1 (Pollaczek and Khinchine)."""
        wait_s = erlang_c(self.workers, self.load * self.workers) * MEAN_S / (self.workers * (1 - self.load))
        if self.is_random:
            return wait_s
        if self.workers != 1:
            raise ValueError("there is no exact formula for M/D/c with several workers")
        return wait_s / 2


CASES = (
    QueueCase(1, 0.5),
    QueueCase(1, 0.7),
    QueueCase(2, 0.7),
    QueueCase(5, 0.8),
    QueueCase(10, 0.8),
    QueueCase(20, 0.8),
    QueueCase(20, 0.85),
    QueueCase(1, 0.5, is_random=False),
    QueueCase(1, 0.7, is_random=False),
    QueueCase(1, 0.8, is_random=False),
)


def erlang_c(workers: int, offered: float) -> float:
    """Return the probability that a job has to wait, for `offered` = arrival rate x mean duration."""
    blocked = 1.0  # Erlang B, by its recursion
    for count in range(1, workers + 1):
        blocked = offered * blocked / (count + offered * blocked)
    return blocked / (1 - offered / workers * (1 - blocked))


def measure(*, short: bool) -> FleetPart:
    """Return a row for each case. Runs as many simulations at a time as there are processors."""
    count = SHORT_JOBS if short else JOBS
    runs = [(case, count, seed) for case in CASES for seed in SEEDS]
    with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
        waits_s = pool.starmap(_run, runs, chunksize=1)
    starts = range(0, len(waits_s), len(SEEDS))
    by_case = zip(CASES, (waits_s[start : start + len(SEEDS)] for start in starts), strict=True)
    return FleetPart([_row(case, count, found_s) for case, found_s in by_case])


def _run(case: QueueCase, count: int, seed: int) -> float:
    """Return the mean wait of one run, in seconds."""
    return mean_wait_s(case, trace(case, count, seed))


def trace(case: QueueCase, count: int, seed: int = 1) -> list[TraceJob]:
    """Return the arrivals of a case.

    Both means are scaled to be exact. Otherwise their own errors, of 0.1 % with a million jobs, would be most of the
    error of the wait: it grows with 1 / (1 - load).
    """
    chance = random.Random(f"theory {case} {seed}")
    gaps = _scaled([chance.expovariate(1.0) for _ in range(count)], MEAN_S / (case.load * case.workers))
    if not case.is_random:
        return [TraceJob(at_s, MEAN_S, MEAN_S) for at_s in accumulate(gaps)]
    durations = _scaled([chance.expovariate(1.0) for _ in range(count)], MEAN_S)
    return [TraceJob(at_s, each, each) for at_s, each in zip(accumulate(gaps), durations, strict=True)]


def _scaled(values: Sequence[float], mean: float) -> list[float]:
    """Return the values, scaled to this mean."""
    factor = mean * len(values) / math.fsum(values)
    return [value * factor for value in values]


def mean_wait_s(case: QueueCase, jobs: Sequence[TraceJob]) -> float:
    """Return the mean wait of a simulated run."""
    scenario = FleetScenario(
        jobs,
        lambda: FixedWorkers(case.workers),
        platform=SimulatedPlatform(boot=IMMEDIATE),
        routing=PoolRouting(),
        ready_at_start=case.workers,
    )
    waits_s = simulate(scenario).waits_s()
    return math.fsum(waits_s) / len(waits_s)


def _row(case: QueueCase, count: int, waits_s: Sequence[float]) -> FleetRow:
    """Return the row of a case, for the mean waits of its runs."""
    found_s, exact_s = statistics.fmean(waits_s), case.exact_wait_s
    error = found_s / exact_s - 1
    spread = statistics.stdev(waits_s) / exact_s
    runs = f"{len(waits_s)} runs of {count:,} jobs, standard deviation {spread:.1%}"
    measured = f"{found_s:.2f} s, exact {exact_s:.2f} s: {error:+.1%} ({runs})"
    return FleetRow(f"mean wait, {case}", measured, TARGET, abs(error) <= AT_MOST)
