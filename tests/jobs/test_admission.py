"""Tests of admission control."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.workflows import picture
from worker.errors import DiskFull, JournalUnavailable, WorkerBusy
from worker.job import Job, JobRequest, JobState
from worker.jobs.admission import LONGEST_RETRY_S, Admission, AdmissionLimits, free_bytes
from worker.load.job_estimates import JobEstimates
from worker.load.learning.estimator import Estimator
from worker.load.node_work import JobWork, NodeWork

PLENTY = 2**40
RUNNING = (JobState.PREPARING, JobState.WAITING, JobState.GENERATING)


def work(seconds: float) -> JobWork:
    """Return the work of a node that takes about this long on any machine."""
    return JobWork((NodeWork("1", "KSampler", fixed_s=seconds),), seconds, {"1": str(seconds).encode()}, {})


def job(*states: JobState) -> Job:
    made = Job("a-job", JobRequest(prompt=picture()))
    for state in states:
        made.advance(state)
    return made


def admission(limits: AdmissionLimits, *seconds: float, engines: tuple[str, ...] = ("engine-0",)) -> Admission:
    """Return the admission of a worker with waiting jobs of these lengths."""
    made = Admission(limits, JobEstimates(Estimator({}), engines))
    for one in seconds:
        waiting = job()
        waiting.workload = one
        made.begin(waiting, work(one))
    return made


def test_without_its_state_folder_a_worker_accepts_nothing(tmp_path: Path) -> None:
    """`free_bytes` raises JournalUnavailable when the state folder does not exist."""
    assert free_bytes(tmp_path) > 0
    with pytest.raises(JournalUnavailable, match="cannot be read: No such file"):
        free_bytes(tmp_path / "gone")


def test_jobs_below_the_limit_are_accepted() -> None:
    """`admit` accepts jobs below the limit."""
    admission(AdmissionLimits(jobs=10), *[5.0] * 9).admit(PLENTY)


def test_a_rejection_at_the_limit_has_a_retry_time() -> None:
    """`admit` raises WorkerBusy at the limit, with the time after which nine of ten first jobs have ended."""
    full = admission(AdmissionLimits(jobs=10), *[50.0] * 10)
    with pytest.raises(WorkerBusy) as refused:
        full.admit(PLENTY)
    assert refused.value.retry_after_s is not None
    assert 50 < refused.value.retry_after_s <= LONGEST_RETRY_S


@pytest.mark.parametrize(("seconds", "expected"), [(7000.0, LONGEST_RETRY_S), (0.01, 1.0)])
def test_retry_after_stays_in_bounds(seconds: float, expected: float) -> None:
    """Retry-After stays within its bounds for any predicted time."""
    with pytest.raises(WorkerBusy) as refused:
        admission(AdmissionLimits(jobs=1), seconds).admit(PLENTY)
    assert refused.value.retry_after_s == expected


def test_more_work_than_may_wait_is_refused() -> None:
    """`admit` raises WorkerBusy when too many seconds of work are queued, by the median, and retries by the p90."""
    full = admission(AdmissionLimits(jobs=10, wait_s=60), 50, 20)
    with pytest.raises(WorkerBusy, match="about 70 s") as refused:
        full.admit(PLENTY)
    assert refused.value.retry_after_s is not None
    assert refused.value.retry_after_s > 10


def test_an_idle_engine_accepts_a_job_while_another_runs_a_long_one() -> None:
    """`admit` compares the limit with the wait for the first free engine, not for all of them."""
    admission(AdmissionLimits(jobs=10, wait_s=60), 600, engines=("engine-0", "engine-1")).admit(PLENTY)
    both = admission(AdmissionLimits(jobs=10, wait_s=60), 600, 500, engines=("engine-0", "engine-1"))
    with pytest.raises(WorkerBusy, match="about 500 s"):
        both.admit(PLENTY)
    both.estimates.alive = ["engine-1"]
    with pytest.raises(WorkerBusy, match="about 1100 s"):
        both.admit(PLENTY)


def test_a_job_in_delivery_needs_no_engine() -> None:
    """The seconds of a job do not count once it delivers its outputs."""
    full = admission(AdmissionLimits(jobs=10, wait_s=60))
    full.begin(job(*RUNNING, JobState.DELIVERING), work(500))
    full.admit(PLENTY)
    assert full.estimates.queue_s() == 0


def test_a_full_disk_rejects_jobs() -> None:
    """`admit` raises DiskFull when too little disk is free."""
    with pytest.raises(DiskFull) as refused:
        admission(AdmissionLimits(jobs=10, free=2**27)).admit(2**26)
    assert (refused.value.status, refused.value.retryable_elsewhere) == (503, True)


def test_load_rises_and_falls() -> None:
    """The load counts a job from `begin` to `end`."""
    full = admission(AdmissionLimits(jobs=10), 50)
    ending = job(*RUNNING, JobState.DELIVERING, JobState.COMPLETED)
    ending.workload = 100
    full.begin(ending, work(100))
    assert (full.load.jobs, full.load.workload) == (2, 150)
    full.end(ending)
    assert (full.load.jobs, full.load.workload) == (1, 50)
