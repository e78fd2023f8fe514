"""The figures of a run, and intervals over seeds."""

from __future__ import annotations

import math

import pytest

from tests.fleet.simulation.fleets import fixed, jobs
from worker.fleet.simulation.mean_interval import MeanInterval
from worker.fleet.simulation.platform import VAST
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.summary import WaitFigures, quantile, summarise


def test_quantiles_are_values_that_occurred() -> None:
    """The p95 of 100 waits is the 95th, the p50 of four the second."""
    assert quantile(range(1, 101), 0.95) == 95
    assert quantile([1, 2, 3, 4], 0.5) == 2
    assert quantile([], 0.5) == 0


def test_a_failed_job_waits_forever() -> None:
    """Of 20 jobs one has failed, so that p95 is the largest wait of the others and p99 is infinite."""
    figures = WaitFigures.of([float(wait) for wait in range(19)], failed=1)
    assert (figures.p95_s, figures.p99_s, figures.max_s, figures.mean_s) == (18, math.inf, 18, 9)


def test_the_figures_of_a_run() -> None:
    """Two jobs of 10 s on one worker that is ready for 40 s: half is work. 36 dollars are 18,000 for 1,000."""
    outcome = simulate(fixed(jobs((0, 10), (1, 10)), length_s=40))
    summary = summarise(outcome, VAST, usd=36)
    assert (summary.jobs, summary.served, summary.failed, summary.retries) == (2, 2, 0, 0)
    assert (summary.utilisation, summary.gpu_hours, summary.work_hours) == (0.5, 40 / 3600, 20 / 3600)
    assert (summary.waits.mean_s, summary.workers, summary.most_ready) == (4.5, 1, 1)
    assert summary.usd_per_1000 == 18_000
    assert summarise(outcome, VAST).usd_per_1000 is None


def test_the_interval_of_a_mean() -> None:
    """1, 2, 3: mean 2, standard deviation 1, Student's t of two degrees 4.303, so 2 +- 4.303 / sqrt(3)."""
    interval = MeanInterval.of([1, 2, 3])
    assert (interval.mean, interval.high - 2) == pytest.approx((2, 4.303 / math.sqrt(3)))
    assert MeanInterval.of([5]) == MeanInterval(5, 5, 5)
    assert MeanInterval.of([1, math.inf]).mean == math.inf
    assert str(interval) == "2 ± 2.5"
