"""Errors, the floor and coverage, and the comparison of reports with the time that the work took."""

from __future__ import annotations

import pytest

from bench.load.accuracy import ErrorSummary, Outcome, coverage, floor
from bench.load.reports.queue_time import SentJob, queue_times, total_ratio
from worker.simulators.vast_router.report_log import StatusReport


def test_the_error_is_relative_to_the_measured_seconds() -> None:
    """A prediction of 3 s for a job of 2 s is wrong by half, and one of 1 s too."""
    assert Outcome("a", 2.0, 3.0).error == pytest.approx(0.5)
    assert Outcome("a", 2.0, 1.0).error == pytest.approx(0.5)


def test_the_floor_is_that_of_the_medians_of_the_groups() -> None:
    """The floor is 0 for jobs of one group that took the same time, however different the groups are."""
    same = [Outcome("short", 1.0, 5.0)] * 3 + [Outcome("long", 100.0, 5.0)] * 3
    assert floor(same) == ErrorSummary(0.0, 0.0)
    spread = [Outcome("short", seconds, 0.0) for seconds in (0.8, 1.0, 1.25)]
    assert floor(spread) == ErrorSummary(pytest.approx(0.2), pytest.approx(0.25))


def test_coverage_counts_the_jobs_within_p90() -> None:
    """Coverage is the share of jobs that took at most their p90."""
    assert coverage([Outcome("a", 1.0, 0.0, 1.0), Outcome("a", 1.1, 0.0, 1.0)]) == 0.5


def report(at: float, load: float, speed: float = 2.0) -> StatusReport:
    """Return a report of a worker."""
    return StatusReport(1, "http://w", cur_load=load, max_perf=speed, at=at)


def test_with_one_gpu_the_truth_is_the_time_until_the_last_job_that_was_sent() -> None:
    """Jobs that are sent after a report do not count for it. Reports with little work are left out."""
    jobs = [SentJob("A", 0.0, 10.0, 20.0, 10.0), SentJob("A", 5.0, 14.0, 8.0, 4.0)]
    rows = queue_times([report(1.0, 18.0), report(6.0, 16.0), report(13.0, 2.0)], jobs)
    assert [(row.reported_s, row.true_s) for row in rows] == [(9.0, 9.0), (8.0, 8.0)]
    assert total_ratio(rows) == 1.0


def test_several_gpus_count_with_their_speeds() -> None:
    """Three seconds of a GPU of 4 units/s and twelve of one of 1 unit/s are 24 units, or 4.8 s of both together."""
    jobs = [SentJob("fast", 0.0, 3.0, 12.0, 3.0), SentJob("slow", 0.0, 12.0, 12.0, 12.0)]
    (row,) = queue_times([report(0.0, 24.0, 5.0)], jobs)
    assert (row.reported_s, row.true_s) == (pytest.approx(4.8), pytest.approx(4.8))
