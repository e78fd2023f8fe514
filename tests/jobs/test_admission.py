"""Who may come in, and when the others are told to come back."""

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
    """A volume that is away for a while is an error with a code, which may be retried."""
    assert free_bytes(tmp_path) > 0
    with pytest.raises(JournalUnavailable, match="can't be reached: No such file"):
        free_bytes(tmp_path / "gone")


def test_below_the_limit_everybody_comes_in() -> None:
    """No refusal while there is a place."""
    admission(AdmissionLimits(jobs=10), 0.0, *(job(100) for _ in range(9))).admit(PLENTY)


def test_at_the_limit_the_refusal_says_when() -> None:
    """Retry-After is the measured time of one average job."""
    with pytest.raises(WorkerBusy) as refused:
        admission(AdmissionLimits(jobs=10), 20.0, *(job(100) for _ in range(10))).admit(PLENTY)
    assert refused.value.retry_after_s == 5


@pytest.mark.parametrize(("workload", "pace", "told"), [(1e9, 1.0, LONGEST_RETRY_S), (1.0, 1e9, 1.0), (5.0, 0.0, 1.0)])
def test_retry_after_stays_in_bounds(workload: float, pace: float, told: float) -> None:
    """Neither nothing nor for ever, whatever was measured."""
    with pytest.raises(WorkerBusy) as refused:
        admission(AdmissionLimits(jobs=1), pace, job(workload)).admit(PLENTY)
    assert refused.value.retry_after_s == told


def test_more_work_than_may_wait_is_refused() -> None:
    """By seconds as well as by number, and the refusal says when enough of it will be done."""
    full = admission(AdmissionLimits(jobs=10, wait_s=60), 10.0, job(500), job(200))
    with pytest.raises(WorkerBusy, match="about 70 s") as refused:
        full.admit(PLENTY)
    assert refused.value.retry_after_s == 10


def test_before_anything_was_measured_only_the_number_counts() -> None:
    """A guess of seconds without a pace would be none."""
    admission(AdmissionLimits(jobs=10, wait_s=60), 0.0, job(1e9)).admit(PLENTY)


def test_what_has_run_already_is_no_wait() -> None:
    """A job whose files are being delivered keeps nobody from the GPU, one that runs only for the rest of its time."""
    way = (JobState.PREPARING, JobState.WAITING, JobState.GENERATING)
    delivering = job(500, *way, JobState.DELIVERING)
    running = job(100, *way)
    full = admission(AdmissionLimits(jobs=10), 10.0, delivering, running)
    assert 9.0 < full.wait_s() < 10.0


def test_several_engines_halve_the_wait() -> None:
    """Work that waits is shared by those that are alive; one that runs is counted down by its own engine's pace."""
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


def test_without_room_on_the_disk_nothing_is_begun() -> None:
    """What could not be kept is not computed; another worker may have room."""
    with pytest.raises(DiskFull) as refused:
        admission(AdmissionLimits(jobs=10, free=2**27), 0.0).admit(2**26)
    assert (refused.value.status, refused.value.retryable_elsewhere) == (503, True)


def test_load_rises_and_falls() -> None:
    """Each job counts from its beginning to its end, and a finished one sets the pace."""
    one = job(100, JobState.PREPARING, JobState.WAITING, JobState.GENERATING, JobState.DELIVERING, JobState.COMPLETED)
    full = admission(AdmissionLimits(jobs=10), 0.0, one, job(50))
    assert (full.load.jobs, full.load.workload) == (2, 150)
    full.end(one)
    assert (full.load.jobs, full.load.workload) == (1, 50)


def test_pace_is_what_most_of_the_last_jobs_had() -> None:
    """A first job that loaded its models, or one odd one, moves nothing; a job without a time teaches nothing."""
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
