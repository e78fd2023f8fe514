"""Predicted seconds of the jobs of a worker, by their work and by their places in engines."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from worker.events import (
    EngineBlocked,
    EngineLost,
    Event,
    EventsLost,
    JobPredicted,
    JobSubmitted,
    LossCause,
    NodeRan,
    NodesCached,
    NodeStarted,
    NodeStopped,
    Observers,
    RunClocked,
    RunEnded,
    StateChanged,
    StepDone,
)
from worker.job import Job, JobRequest, JobState
from worker.load.gpu_classes import REFERENCE, GpuClass
from worker.load.job_estimates import JobEstimates
from worker.load.learning.estimator import Estimator
from worker.load.node_work import JobWork, NodeWork

ENGINES = ("engine-0", "engine-1")
_seeds = itertools.count()


def work(seconds: float = 10.0, *, file: str = "", seed: int | None = None) -> JobWork:
    """Return the work of a loader and a node of this length on the reference GPU, a new one unless a seed is given."""
    seed = next(_seeds) if seed is None else seed
    loader = NodeWork("1", "Loader", reads=(file,) if file else ())
    sampler = NodeWork("2", "Sampler", tflop=seconds * REFERENCE.tflops, models=(file,) if file else ())
    ancestry = {"1": file.encode(), "2": f"{file} {seconds} {seed}".encode()}
    return JobWork((loader, sampler), seconds, ancestry, {file: 4_000_000_000} if file else {})


class Worker:
    """Estimates with engines of the reference GPU, and the events that they sent."""

    def __init__(self, *engines: str) -> None:
        names = engines or ENGINES[:1]
        self.events: list[Event] = []
        self.estimates = JobEstimates(Estimator({}), names, self.events.append)
        for name in names:
            self.estimates.set_gpu(name, REFERENCE)
        self.observers = Observers([self.estimates])

    def accept(self, job_work: JobWork, engine: str | None = None, timeout_s: float | None = None) -> Job:
        """Return a job that waits, or that has a place in an engine."""
        job = Job("a", JobRequest(prompt={"1": {"class_type": "Loader", "inputs": {}}}, timeout_s=timeout_s))
        self.estimates.begin(job, job_work)
        job.advance(JobState.PREPARING)
        job.advance(JobState.WAITING)
        if engine is not None:
            self.place(job, engine)
        return job

    def place(self, job: Job, engine: str) -> None:
        job.engine = engine
        self.estimates.set_place(job, engine)
        self.notify(JobSubmitted(job.ref, engine, "id"))

    def start(self, job: Job) -> None:
        job.advance(JobState.GENERATING)
        self.notify(StateChanged(job.ref, JobState.GENERATING, JobState.WAITING, 0.0))

    def node(self, job: Job, node_id: str) -> None:
        self.notify(NodeStarted(job.ref, node_id, "", ""))

    def end(self, job: Job, state: JobState = JobState.COMPLETED, *, succeeded: bool = True) -> None:
        self.notify(RunEnded(job.ref, succeeded))
        self.estimates.remove_place(job)
        if succeeded:
            job.advance(JobState.DELIVERING)
        job.advance(state)
        self.estimates.end(job)

    def notify(self, event: Event) -> None:
        self.observers.notify(event)

    def sent(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def near(seconds: float) -> object:
    return pytest.approx(seconds, rel=0.02, abs=0.05)


def test_a_waiting_job_ends_after_those_before_it() -> None:
    """The ETA of a job is the sum of what runs before it and its own seconds, and its p90 lies behind."""
    worker = Worker()
    jobs = [worker.accept(work(10.0)) for _ in range(3)]
    assert [worker.estimates.finish(job).p50_s for job in jobs] == [near(10), near(20), near(30)]
    assert all(worker.estimates.finish(job).p90_s > worker.estimates.finish(job).p50_s for job in jobs)
    assert worker.estimates.queue_s() == near(30)
    assert worker.estimates.remaining_by_engine() == {"engine-0": near(30)}
    assert [worker.estimates.predicted(job).p50_s for job in jobs] == [near(10)] * 3  # type: ignore[union-attr]


def test_jobs_that_wait_count_for_the_engine_that_ends_them_first() -> None:
    """A waiting job is expected on the engine with the least work, and only engines that are alive count."""
    worker = Worker(*ENGINES)
    worker.accept(work(30.0), "engine-0")
    short, long = worker.accept(work(5.0)), worker.accept(work(10.0))
    assert worker.estimates.remaining_by_engine() == {"engine-0": near(30), "engine-1": near(15)}
    assert (worker.estimates.finish(short).p50_s, worker.estimates.finish(long).p50_s) == (near(5), near(15))
    assert (worker.estimates.queue_s(), worker.estimates.wait().p50_s) == (near(30), near(15))
    worker.estimates.alive = ["engine-0"]
    assert worker.estimates.remaining_by_engine() == {"engine-0": near(45)}


def test_a_job_takes_longer_on_a_slower_gpu() -> None:
    """The seconds of a job on an engine go by the speed of its GPU, and the faster engine gets the job."""
    worker = Worker(*ENGINES)
    worker.estimates.set_gpu("engine-0", GpuClass("half", REFERENCE.tflops / 2))
    job = worker.accept(work(10.0))
    assert [worker.estimates.seconds_on(job, engine) for engine in ENGINES] == [near(20), near(10)]
    assert worker.estimates.remaining_by_engine() == {"engine-0": 0, "engine-1": near(10)}


def test_a_model_loads_once_for_jobs_in_a_row() -> None:
    """Only the first of several jobs with one model has the time of loading it in its ETA."""
    worker = Worker()
    first, second = worker.accept(work(10.0, file="a")), worker.accept(work(10.0, file="a"))
    load_s = worker.estimates.finish(first).p50_s - 10
    assert load_s > 5
    assert worker.estimates.finish(second).p50_s == near(load_s + 20)


def test_the_same_job_again_takes_no_time() -> None:
    """A job whose nodes equal those of the job before it is expected to come from ComfyUI's cache."""
    worker = Worker()
    job, again = worker.accept(work(10.0, seed=1)), worker.accept(work(10.0, seed=1))
    assert worker.estimates.finish(again).p50_s == pytest.approx(worker.estimates.finish(job).p50_s)
    worker.place(job, "engine-0")
    worker.start(job)
    worker.end(job)
    assert worker.estimates.finish(again).p50_s == 0
    assert worker.estimates.expected(work(10.0, seed=1)).p50_s == 0


def test_a_cached_node_that_was_not_expected_is_corrected() -> None:
    """What ComfyUI reports as cached no longer remains, and is not learned."""
    worker = Worker()
    job = worker.accept(work(10.0), "engine-0")
    worker.start(job)
    assert worker.estimates.remaining(job).p50_s == near(10)
    worker.notify(NodesCached(job.ref, ("1", "2")))
    assert worker.estimates.remaining(job).p50_s == 0
    worker.end(job)
    assert worker.sent(NodeRan) == []


def test_a_node_without_a_time_is_not_taken_for_cached() -> None:
    """A node whose event was missed does not show that ComfyUI keeps the results of older prompts."""
    worker = Worker()
    for seed in (1, 2, 1, 3):
        job = worker.accept(work(10.0, seed=seed), "engine-0")
        worker.start(job)
        worker.node(job, "1")
        worker.end(job)
    assert worker.estimates.finish(worker.accept(work(10.0, seed=2))).p50_s == near(10)


def test_a_job_counts_at_most_until_its_timeout() -> None:
    """A job that is predicted to take longer than it may counts with the seconds that it may take, waiting or not."""
    worker = Worker()
    jobs = [worker.accept(work(1000.0), "engine-0", timeout_s=30.0) for _ in range(2)]
    waiting = worker.accept(work(1000.0), timeout_s=20.0)
    assert worker.estimates.remaining_by_engine() == {"engine-0": near(80)}
    worker.start(jobs[0])
    worker.node(jobs[0], "2")
    assert worker.estimates.remaining_by_engine() == {"engine-0": near(80)}
    assert worker.estimates.running_by_engine() == {"engine-0": near(30)}
    assert [worker.estimates.remaining(job).p90_s for job in (*jobs, waiting)] == [near(30), near(30), near(20)]


def test_steps_correct_what_remains() -> None:
    """The steps of the running node replace the prediction for it."""
    worker = Worker()
    job = worker.accept(work(1000.0), "engine-0")
    worker.start(job)
    worker.node(job, "2")
    for step in range(1, 7):
        worker.notify(StepDone(job.ref, "2", step, 20))
        time.sleep(0.01)
    assert worker.estimates.remaining(job).p50_s < 100
    assert worker.estimates.finish(job).p90_s < 100


def test_a_workflow_of_thousands_of_nodes_is_predicted_soon() -> None:
    """The expensive nodes of a huge workflow are predicted one by one, and the others together."""
    worker, big = Worker(), work(10.0)
    nodes = (*big.nodes, *(NodeWork(f"n{number}", "Small", fixed_s=0.01) for number in range(50_000)))
    job = worker.accept(replace(big, nodes=nodes), "engine-0")
    began = time.thread_time()
    assert worker.estimates.finish(job).p50_s == near(510)
    worker.start(job)
    worker.node(job, "n49999")
    worker.end(job)
    assert time.thread_time() - began < 1.0


def test_true_sizes_change_the_prediction() -> None:
    """A job whose work is corrected before it starts is predicted anew."""
    worker = Worker()
    job = worker.accept(work(10.0))
    assert worker.estimates.finish(job).p50_s == near(10)
    worker.estimates.refine(job, work(40.0))
    assert worker.estimates.finish(job).p50_s == near(40)


def test_runs_teach_and_are_reported() -> None:
    """Each node that ran is learned and reported with its prediction, and the run with that of the job."""
    worker = Worker()
    for _ in range(3):
        job = worker.accept(work(2.0), "engine-0")
        worker.start(job)
        assert job.predicted_s is not None
        worker.node(job, "1")
        worker.node(job, "2")
        time.sleep(0.05)
        worker.end(job)
    nodes, runs = worker.sent(NodeRan), worker.sent(JobPredicted)
    assert [(ran.node_id, ran.completed) for ran in nodes] == [("1", True), ("2", True)] * 3  # type: ignore[union-attr]
    assert next(run.predicted_s for run in runs) == near(2)  # type: ignore[union-attr]
    assert worker.estimates.expected(work(2.0)).p50_s < 0.5


@pytest.mark.parametrize("cause", ["failed", "cancelled", "lost"])
def test_a_run_that_does_not_end_teaches_no_short_times(cause: str) -> None:
    """The running node of a failed, cancelled or lost run only teaches that it takes at least this long."""
    worker = Worker()
    for _ in range(5):
        job = worker.accept(work(2.0), "engine-0")
        worker.start(job)
        worker.node(job, "2")
        if cause == "lost":
            worker.notify(EngineLost("engine-0", LossCause.ENDED))
            worker.notify(JobSubmitted(job.ref, "engine-0", None))
        else:
            worker.notify(NodeStopped(job.ref))
        worker.end(job, JobState.FAILED if cause == "failed" else JobState.CANCELLED, succeeded=False)
    assert [ran.completed for ran in worker.sent(NodeRan)] == [False] * 5  # type: ignore[union-attr]
    assert worker.sent(JobPredicted) == []
    assert worker.estimates.expected(work(2.0)).p50_s == near(2)
    assert worker.estimates.queue_s() == 0


def test_a_run_whose_events_were_lost_teaches_nothing() -> None:
    """Without the events of a run, the times of its nodes are not known."""
    worker = Worker()
    job = worker.accept(work(2.0), "engine-0")
    worker.start(job)
    worker.node(job, "1")
    worker.notify(EventsLost(job.ref))
    worker.end(job)
    assert (worker.sent(NodeRan), worker.sent(JobPredicted)) == ([], [])


def test_a_job_that_is_sent_again_runs_again() -> None:
    """After its engine has lost it, the whole job remains, and its models have to be loaded again."""
    worker = Worker()
    warm = worker.accept(work(10.0, file="a"), "engine-0")
    worker.start(warm)
    worker.end(warm)
    job = worker.accept(work(10.0, file="b"), "engine-0")
    worker.start(job)
    worker.node(job, "2")
    first_s = worker.estimates.predicted(job).p50_s  # type: ignore[union-attr]
    worker.notify(JobSubmitted(job.ref, "engine-0", "another"))
    assert worker.estimates.remaining(job).p50_s == near(first_s)


def test_a_node_that_does_not_stop_keeps_its_engine_busy() -> None:
    """The rest of a node that goes on after its job is part of the wait, until the engine is free."""
    worker = Worker()
    job = worker.accept(work(30.0), "engine-0")
    worker.start(job)
    worker.node(job, "2")
    worker.notify(EngineBlocked("engine-0", True))
    worker.end(job, JobState.CANCELLED, succeeded=False)
    waiting = worker.accept(work(10.0))
    assert worker.estimates.remaining_by_engine() == {"engine-0": near(40)}
    assert worker.estimates.finish(waiting).p50_s == near(40)
    worker.notify(EngineBlocked("engine-0", False))
    assert worker.estimates.finish(waiting).p50_s == near(10)


def test_a_job_in_delivery_and_an_unknown_one_have_nothing_left() -> None:
    """A job needs no engine once its run has ended. A job that was never accepted has no prediction."""
    worker = Worker()
    job = worker.accept(work(10.0), "engine-0")
    worker.start(job)
    worker.notify(RunEnded(job.ref, succeeded=True))
    unknown = Job("b", JobRequest(prompt={}))
    for each in (job, unknown):
        assert worker.estimates.remaining(each).p50_s == worker.estimates.finish(each).p50_s == 0
        assert worker.estimates.predicted(each) is None
    assert (worker.estimates.queue_s(), worker.estimates.seconds_on(unknown, "engine-0")) == (0, 0)


def _cancel(worker: Worker, job: Job) -> None:
    worker.end(job, JobState.CANCELLED, succeeded=False)


def _succeed(worker: Worker, job: Job) -> None:
    if job.state is JobState.WAITING:
        worker.start(job)
    for node_id in ("1", "2"):
        worker.node(job, node_id)
    worker.end(job)


def _lose_engine(worker: Worker, job: Job) -> None:
    worker.notify(EngineLost(job.engine or ENGINES[0], LossCause.RESTARTED))
    worker.notify(JobSubmitted(job.ref, job.engine or "", None))
    worker.estimates.remove_place(job)
    if job.state is JobState.GENERATING:
        job.advance(JobState.WAITING)
    worker.place(job, ENGINES[0])


STEPS: tuple[Callable[[Worker, Job], None], ...] = (_cancel, _succeed, _lose_engine)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_remains_when_all_jobs_have_ended(seed: int) -> None:
    """After random runs, losses and cancellations nothing is left in any line."""
    draw, worker = random.Random(seed), Worker(*ENGINES)
    jobs: list[Job] = []
    for _ in range(60):
        if not jobs or draw.random() < 0.4:
            engine = draw.choice([None, *ENGINES])
            jobs.append(worker.accept(work(draw.uniform(0.1, 9.0), file=draw.choice(["", "a", "b"])), engine))
        job = draw.choice(jobs)
        if job.engine is not None and job.state is JobState.WAITING and draw.random() < 0.5:
            worker.start(job)
        if draw.random() < 0.5:
            draw.choice(STEPS)(worker, job) if job.engine else _cancel(worker, job)
        jobs = [each for each in jobs if not each.state.ended]
        assert worker.estimates.queue_s() >= 0
        for each in jobs:  # a running job that takes longer than predicted moves between the two calls
            assert worker.estimates.finish(each).p50_s >= worker.estimates.remaining(each).p50_s - 0.01
    for job in jobs:
        _cancel(worker, job)
    assert worker.estimates.remaining_by_engine() == dict.fromkeys(ENGINES, 0.0)


@pytest.mark.parametrize(("engine_s", "is_learned"), [(0.0, True), (0.9, False)], ids=["in time", "late"])
def test_nodes_whose_messages_arrive_late_teach_nothing(engine_s: float, is_learned: bool) -> None:
    """If all messages of a run arrive together, their times are not those of the nodes."""
    worker = Worker()
    job = worker.accept(work(10.0), "engine-0")
    worker.start(job)
    worker.notify(RunClocked(job.ref, 1_000_000.0))
    worker.node(job, "1")
    worker.notify(RunClocked(job.ref, 1_000_000.0 + engine_s * 1000))
    worker.end(job)
    assert bool(worker.sent(NodeRan)) == bool(worker.sent(JobPredicted)) == is_learned


def test_the_end_of_a_job_costs_little_with_a_long_queue() -> None:
    """After a job only some forecasts of those that wait are made again, although all follow other jobs then."""
    worker = Worker(*(f"engine-{number}" for number in range(4)))
    small = tuple(NodeWork(f"n{number}", "Small", fixed_s=0.01) for number in range(30))
    works = [replace(one, nodes=(*one.nodes, *small)) for one in (work(10.0, file="a") for _ in range(108))]
    running = [worker.accept(works[number], f"engine-{number % 4}") for number in range(8)]
    for one in works[8:]:
        worker.accept(one)
    began = time.thread_time()
    worker.estimates.remaining_by_engine()
    first_s = time.thread_time() - began
    began = time.thread_time()
    for job in running:
        worker.start(job)
        worker.node(job, "2")
        worker.end(job)
        assert worker.estimates.queue_s() > 0
    assert time.thread_time() - began < first_s
