"""What a replay adds to a job, computed from its times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.simulators.vast_fleet.overhead import ReplayOverhead, measured_overhead
from worker.simulators.vast_fleet.played_job import PlayedJob


def played(sent_s: float, entered_s: float, started_s: float, ended_s: float, worker: int = 0) -> PlayedJob:
    """Return a job that should have run for ten seconds."""
    return PlayedJob(0, "sdxl", 10.0, 0.0, sent_s, entered_s, started_s, ended_s, worker, 1)


def test_a_job_that_runs_longer_than_planned_is_overhead() -> None:
    """The seconds beyond those of the sampler count."""
    assert measured_overhead([played(0, 0, 1, 11.5), played(50, 50, 50, 60.5, worker=1)]) == ReplayOverhead(0.5, 0.0)


def test_a_gap_counts_where_the_next_job_already_was() -> None:
    """A gap between two jobs is overhead of the worker, or an idle wait, or nothing, as there was nothing to do."""
    former = played(0, 0, 0, 10)
    at_the_worker, at_the_router, nowhere = played(1, 2, 12, 22), played(1, 11, 12, 22), played(11, 12, 12, 22)
    assert measured_overhead([former, at_the_worker]) == ReplayOverhead(1.0, 0.0)
    assert measured_overhead([former, at_the_router]) == ReplayOverhead(0.0, 1.0)
    assert measured_overhead([former, nowhere]) == ReplayOverhead(0.0, 0.0)
    assert measured_overhead([former, played(1, 2, 12, 22, worker=1)]) == ReplayOverhead(0.0, 0.0)


def test_the_overhead_is_a_mean_of_all_jobs() -> None:
    """Both parts are divided by the number of jobs. Without jobs there is none."""
    jobs = [played(0, 0, 0, 12), played(1, 2, 13, 23), played(1, 24, 25, 35)]
    assert measured_overhead(jobs).running_s == pytest.approx(1.0)
    assert measured_overhead(jobs).seconds == pytest.approx(1.0 + 2 / 3)
    assert measured_overhead([]).seconds == 0


def test_a_model_that_had_to_be_loaded_is_no_overhead() -> None:
    """A job loads its model at first and after a job of another kind. What the loader was told to run is planned."""
    first, second = (replace(played(0, 0, at_s, at_s + 14), load_s=4.0) for at_s in (0, 14))
    assert measured_overhead([first, replace(second, kind="flux-dev")]).seconds == 0
    assert measured_overhead([first, second]).seconds == 2.0
