"""The new load that workers report."""

from __future__ import annotations

import pytest

from worker.fleet.simulation.run.new_load import LoadAtArrival, MeteredLoad


def test_at_arrival_all_of_a_job_counts_at_once() -> None:
    """100 units count in the report after the arrival, and never again."""
    load = LoadAtArrival()
    load.arrived(0, 100, 2, now_s=1)
    load.done(0)
    assert [load.take(5), load.take(10)] == [100, 0]


def test_metered_a_job_counts_at_the_speed_of_its_worker() -> None:
    """100 units at 2 a second: 8 until 5 s, 10 until 10 s, and the rest of 82 until 60 s, when all of it is counted."""
    load = MeteredLoad()
    load.arrived(0, 100, 2, now_s=1)
    assert [load.take(5), load.take(10), load.take(60), load.take(70)] == pytest.approx([8, 10, 82, 0])


def test_metered_the_rest_counts_when_a_job_is_done() -> None:
    """A job that is done after 10 s counts 20 of its 100 units before, and 80 then."""
    load = MeteredLoad()
    load.arrived(0, 100, 2, now_s=0)
    assert load.take(10) == pytest.approx(20)
    load.done(0)
    assert [load.take(11), load.take(100)] == pytest.approx([80, 0])


def test_metered_what_a_failed_worker_had_not_counted_never_counts() -> None:
    """The job counts 20 units until its worker fails at 10 s. Its next attempt counts all of its 100 units."""
    load = MeteredLoad()
    load.arrived(0, 100, 2, now_s=0)
    load.withdrawn(0, now_s=10)
    assert [load.take(20), load.take(60)] == pytest.approx([20, 0])
    load.arrived(0, 100, 2, now_s=60)
    assert [load.take(61), load.take(200)] == pytest.approx([2, 98])


def test_metered_jobs_of_one_worker_count_side_by_side() -> None:
    """Two jobs count 2 units a second each, like the worker, which does not know which of them runs."""
    load = MeteredLoad()
    load.arrived(0, 100, 2, now_s=0)
    load.arrived(1, 6, 2, now_s=0)
    assert [load.take(2), load.take(4)] == pytest.approx([8, 6])
