"""The reported load and speed, computed from predictions and from the work that was done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest

from worker.events import Event, EventsLost, JobFinished, JobSubmitted, NodesCached, Observers
from worker.job import JobRef, JobState
from worker.load.gpu_classes import REFERENCE
from worker.load.node_work import JobWork, NodeKind, NodeWork
from worker.load.throughput import DoneWork, Throughput
from worker.platforms.vast.reporting.changes import has_changed
from worker.platforms.vast.reporting.done_work import DoneWorkObserver
from worker.platforms.vast.reporting.reported_load import ReportedLoad
from worker.platforms.vast.settings import RunningJobs

JOB = JobRef("a", "local", "job-1")
WORK = JobWork(
    nodes=(
        NodeWork("1", "Sampler", NodeKind.SAMPLER, tflop=REFERENCE.tflops),
        NodeWork("2", "Encode", NodeKind.TEXT_ENCODE, fixed_s=0.5),
        NodeWork("3", "Remote", NodeKind.API, fixed_s=15.0),
    ),
    units=1.5,
    ancestry={},
    model_bytes={},
)


@dataclass
class Predicted:
    """Predicted seconds of the jobs of engines."""

    remaining: Mapping[str, float]
    running: Mapping[str, float] = field(default_factory=dict)
    alive: Collection[str] = ("engine-0", "engine-1")

    def remaining_by_engine(self) -> Mapping[str, float]:
        return self.remaining

    def running_by_engine(self) -> Mapping[str, float]:
        return self.running


def throughput(*units_per_s: float) -> Throughput:
    speeds = Throughput()
    for number, speed in enumerate(units_per_s):
        speeds.start(f"engine-{number}", [DoneWork(speed, 1.0)], 0.0)
    return speeds


def load(predicted: Predicted, running: RunningJobs = RunningJobs.ALL, *units_per_s: float) -> ReportedLoad:
    return ReportedLoad(predicted, throughput(*(units_per_s or (1.0, 1.0))), running, lambda: 0.0)


def test_the_load_is_seconds_times_the_speed_of_each_engine() -> None:
    """The load is the sum over the engines of seconds times speed, so that the quotient is their weighted mean."""
    reported = load(Predicted({"engine-0": 10.0, "engine-1": 4.0}), RunningJobs.ALL, 2.0, 0.5)
    assert (reported.max_perf, reported.cur_load) == (2.5, 22.0)
    assert reported.engine_perf == 1.25


def test_an_engine_that_is_lost_is_not_counted() -> None:
    """The speed of an engine that runs no jobs is not reported. Its jobs are predicted on the others."""
    reported = load(Predicted({"engine-1": 12.0}, alive=["engine-1"]), RunningJobs.ALL, 2.0, 0.5)
    assert (reported.max_perf, reported.cur_load) == (0.5, 6.0)


@pytest.mark.parametrize(
    ("running", "alone", "with_another"),
    [(RunningJobs.ALL, 8.0, 12.0), (RunningJobs.EXCESS, 1.0, 12.0), (RunningJobs.NONE, 0.0, 4.0)],
)
def test_running_jobs_count_as_the_setting_says(running: RunningJobs, alone: float, with_another: float) -> None:
    """A running job with 8 s left counts as docs/vast.md says, alone and with a job of 4 s that waits."""
    assert load(Predicted({"engine-0": 8.0}, {"engine-0": 8.0}), running).cur_load == alone
    assert load(Predicted({"engine-0": 12.0}, {"engine-0": 8.0}), running).cur_load == pytest.approx(with_another)


def test_a_short_rest_of_a_running_job_counts_as_it_is() -> None:
    """With `excess`, a running job that is nearly done counts with its rest."""
    assert load(Predicted({"engine-0": 0.3}, {"engine-0": 0.3}), RunningJobs.EXCESS).cur_load == 0.3


def test_a_request_without_a_job_counts_with_its_units() -> None:
    """A request counts with its units until its job exists, and nothing is left of it."""
    reported = load(Predicted({}))
    with reported.arriving(3.0), reported.arriving(0.1):
        assert reported.cur_load == pytest.approx(3.1)
    assert reported.cur_load == 0


@pytest.mark.parametrize(
    ("reported", "present", "changed"),
    [
        ((0.0, 1.0), (0.2, 1.0), False),
        ((0.0, 1.0), (0.3, 1.0), True),
        ((100.0, 1.0), (96.0, 1.0), False),
        ((100.0, 1.0), (94.0, 1.0), True),
        ((100.0, 1.0), (50.0, 0.5), False),
        ((100.0, 1.0), (100.0, 0.5), True),
        ((0.0, 0.0), (0.0, 0.0), False),
    ],
)
def test_a_report_is_due_when_the_seconds_have_changed(
    reported: tuple[float, float], present: tuple[float, float], changed: bool
) -> None:
    """A report is due after a change of more than 5 % of the seconds to do, and of more than a quarter of a second."""
    assert has_changed(reported, present) is changed


def finished(state: JobState = JobState.COMPLETED, seconds: float = 3.0) -> JobFinished:
    return JobFinished(JOB, state, 9.0, ((JobState.GENERATING, seconds), (JobState.DELIVERING, 5.0)))


SUBMITTED = JobSubmitted(JOB, "engine-1", "prompt")


def observed(*events: Event) -> list[tuple[str, DoneWork]]:
    """Return the work that is recorded for these events."""
    recorded: list[tuple[str, DoneWork]] = []
    observers = Observers([DoneWorkObserver(lambda engine, run: recorded.append((engine, run)), lambda _: WORK)])
    for event in events:
        observers.notify(event)
    return recorded


def test_a_run_is_its_units_and_the_seconds_of_the_engine() -> None:
    """A completed run counts with the units of its nodes, without remote ones, and the seconds of its engine."""
    assert observed(SUBMITTED, finished()) == [("engine-1", DoneWork(1.5, 3.0))]


def test_cached_nodes_are_no_work() -> None:
    """Nodes that ComfyUI had cached have no units, so that a job from the cache does not raise the speed."""
    assert observed(SUBMITTED, NodesCached(JOB, ("2",)), finished()) == [("engine-1", DoneWork(1.0, 3.0))]
    [(_, run)] = observed(SUBMITTED, NodesCached(JOB, ("1", "2", "3")), finished(seconds=0.01))
    assert not run.counts


@pytest.mark.parametrize(
    "events",
    [
        (SUBMITTED, finished(JobState.FAILED)),
        (SUBMITTED, finished(JobState.CANCELLED)),
        (SUBMITTED, SUBMITTED, finished()),
        (SUBMITTED, EventsLost(JOB), finished()),
        (finished(),),
    ],
    ids=["failed", "cancelled", "sent again", "events lost", "never sent"],
)
def test_a_run_that_is_not_whole_is_not_recorded(events: tuple[Event, ...]) -> None:
    """A run that failed, was cancelled or sent again, or whose events were lost, says nothing about the speed."""
    assert observed(*events) == []


def test_a_second_delivery_is_not_recorded_again() -> None:
    """A job whose delivery is repeated is recorded once."""
    assert len(observed(SUBMITTED, finished(JobState.DELIVERY_PENDING), finished())) == 1
