"""Tests of admission control."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows import picture
from worker.errors import DiskFull, JournalUnavailable, WorkerBusy
from worker.job import Job, JobRequest, JobState
from worker.jobs.admission import LONGEST_RETRY_S, Admission, AdmissionLimits, free_bytes
from worker.load.pace import ENOUGH, ONLY, Pace, Paces

PLENTY = 2**40


def job(workload: float, *states: JobState) -> Job:
    made = Job("a-job", JobRequest(prompt=picture()), workload=workload)
    for state in states:
        made.advance(state)
    return made


def admission(limits: AdmissionLimits, pace: float, *jobs: Job) -> Admission:
    made = Admission(limits, Paces({ONLY: Pace(*[pace] * ENOUGH)}) if pace else Paces())
    for one in jobs:
        made.begin(one)
    return made


def test_without_its_state_folder_a_worker_accepts_nothing(tmp_path: Path) -> None:
    """`free_bytes` raises JournalUnavailable when the state folder does not exist."""
    assert free_bytes(tmp_path) > 0
    with pytest.raises(JournalUnavailable, match="cannot be read: No such file"):
        free_bytes(tmp_path / "gone")


def test_jobs_below_the_limit_are_accepted() -> None:
    """`admit` accepts jobs below the limit."""
    admission(AdmissionLimits(jobs=10), 0.0, *(job(100) for _ in range(9))).admit(PLENTY)


def test_a_rejection_at_the_limit_has_a_retry_time() -> None:
    """`admit` raises WorkerBusy at the limit, with the time of an average job."""
    with pytest.raises(WorkerBusy) as refused:
        admission(AdmissionLimits(jobs=10), 20.0, *(job(100) for _ in range(10))).admit(PLENTY)
    assert refused.value.retry_after_s == 5


@pytest.mark.parametrize(("workload", "pace", "told"), [(1e9, 1.0, LONGEST_RETRY_S), (1.0, 1e9, 1.0), (5.0, 0.0, 1.0)])
def test_retry_after_stays_in_bounds(workload: float, pace: float, told: float) -> None:
    """Retry-After stays within its bounds for any measured time."""
    with pytest.raises(WorkerBusy) as refused:
        admission(AdmissionLimits(jobs=1), pace, job(workload)).admit(PLENTY)
    assert refused.value.retry_after_s == told


def test_more_work_than_may_wait_is_refused() -> None:
    """`admit` raises WorkerBusy when too many seconds of work are queued."""
    full = admission(AdmissionLimits(jobs=10, wait_s=60), 10.0, job(500), job(200))
    with pytest.raises(WorkerBusy, match="about 70 s") as refused:
        full.admit(PLENTY)
    assert refused.value.retry_after_s == 10


def test_before_anything_was_measured_only_the_number_counts() -> None:
    """`admit` ignores the limit of seconds while no speed is measured."""
    admission(AdmissionLimits(jobs=10, wait_s=60), 0.0, job(1e9)).admit(PLENTY)


def test_finished_work_is_no_wait() -> None:
    """`wait_s` counts the remaining time of running jobs, and nothing for jobs in delivery."""
    way = (JobState.PREPARING, JobState.WAITING, JobState.GENERATING)
    delivering = job(500, *way, JobState.DELIVERING)
    running = job(100, *way)
    full = admission(AdmissionLimits(jobs=10), 10.0, delivering, running)
    assert 9.0 < full.wait_s() < 10.0


def test_several_engines_halve_the_wait() -> None:
    """`wait_s` divides the work by the speed of the alive engines."""
    paces = Paces({"engine-0": Pace(*[30.0] * ENOUGH), "engine-1": Pace(*[10.0] * ENOUGH)})
    full = Admission(AdmissionLimits(jobs=10), paces)
    running = job(300, JobState.PREPARING, JobState.WAITING, JobState.GENERATING)
    running.engine = "engine-1"
    waiting = job(500)
    waiting.folder = "job-2"
    for one in (running, waiting):
        full.begin(one)
    assert 19.9 < full.wait_s() <= 20.0
    paces.alive = ["engine-1"]
    assert 79.0 < full.wait_s() <= 80.0


def test_a_full_disk_rejects_jobs() -> None:
    """`admit` raises DiskFull when too little disk is free."""
    with pytest.raises(DiskFull) as refused:
        admission(AdmissionLimits(jobs=10, free=2**27), 0.0).admit(2**26)
    assert (refused.value.status, refused.value.retryable_elsewhere) == (503, True)


def test_load_rises_and_falls() -> None:
    """The load counts a job from `begin` to `end`, and a completed job sets the speed."""
    one = job(100, JobState.PREPARING, JobState.WAITING, JobState.GENERATING, JobState.DELIVERING, JobState.COMPLETED)
    full = admission(AdmissionLimits(jobs=10), 0.0, one, job(50))
    assert (full.load.jobs, full.load.workload) == (2, 150)
    full.end(one)
    assert (full.load.jobs, full.load.workload) == (1, 50)


def test_pace_is_what_most_of_the_last_jobs_had() -> None:
    """The speed is the median of the last jobs, without jobs that have no time."""
    pace = Pace()
    pace.record(100, 60)
    pace.record(100, 10)
    assert pace.units_per_s == 0
    pace.record(100, 10)
    assert pace.units_per_s == 10
    pace.record(100, 0)
    for _ in range(9):
        pace.record(100, 5)
    assert pace.units_per_s == 20
