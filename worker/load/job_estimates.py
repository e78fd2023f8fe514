"""Predicted seconds of the jobs of a worker that have not ended, and of its engines."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence

from worker.events import Handlers, Notify, ignore_event
from worker.job import Job, JobRef
from worker.load.engine_lines import EngineLines, Line
from worker.load.forecast import FileLoad
from worker.load.gpu_classes import UNKNOWN, GpuClass
from worker.load.job_estimate import JobEstimate, bounded
from worker.load.learning.estimator import Estimator
from worker.load.learning.learned_state import LearnedState
from worker.load.node_work import JobWork
from worker.load.prediction import NOTHING, Prediction
from worker.load.run_observer import RunObserver

FOR_MODELS = 0.8
"""Part of a memory that can hold model files."""
ONLY = "engine-0"
"""Name of the engine if there is only one."""


class JobEstimates:
    """Predicts the jobs that were accepted, and observes their runs, from which the estimator learns.

    `engines` are the names of all engines. All methods are cheap and never raise for an unknown job.
    """

    def __init__(self, estimator: Estimator, engines: Sequence[str] = (ONLY,), notify: Notify = ignore_event) -> None:
        self.estimator = estimator
        self.engines = tuple(engines)
        self.alive: Collection[str] = self.engines
        """Names of the engines that run jobs."""
        self._gpus: dict[str, GpuClass] = {}
        self._memories: dict[str, tuple[float, float]] = {}
        """Bytes of model files that fit into each engine's GPU and into the machine."""
        self._jobs: dict[str, JobEstimate] = {}
        """The jobs that have not ended by their folders, in the order in which they were accepted."""
        self._placed: dict[str, list[JobEstimate]] = {engine: [] for engine in engines}
        """The jobs that have a place in an engine, in the order in which it runs them."""
        self._lines = EngineLines(estimator)
        self._observer = RunObserver(estimator, self._jobs, self._lines.outdate, notify)

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events of runs and engines."""
        return self._observer.handlers

    def begin(self, job: Job, work: JobWork) -> None:
        """Add a job that was accepted, and the work that its prompt is."""
        self._jobs[job.folder] = JobEstimate(job, work)

    def refine(self, job: Job, work: JobWork) -> None:
        """Replace the work of a job that has not started, because more is known about it."""
        estimate = self._jobs.get(job.folder)
        if estimate is not None:
            estimate.refine(work)

    def end(self, job: Job) -> None:
        """Remove a job that has ended. A node of it that still runs on an engine counts on."""
        self.remove_place(job)
        self._jobs.pop(job.folder, None)

    def set_place(self, job: Job, engine: str) -> None:
        """Record that a job has a place in an engine, behind those that have one already."""
        estimate = self._jobs.get(job.folder)
        if estimate is not None:
            estimate.engine = engine
            self._placed[engine].append(estimate)

    def remove_place(self, job: Job) -> None:
        """Record that a job has no place in an engine any more."""
        estimate = self._jobs.get(job.folder)
        if estimate is not None and estimate.engine is not None:
            self._placed[estimate.engine].remove(estimate)
            estimate.engine = None

    def set_gpu(self, engine: str, gpu: GpuClass) -> None:
        """Set the GPU class of an engine, which is known once it has started."""
        self._gpus[engine] = gpu
        self.estimator.set_gpu(engine, gpu)
        self._lines.outdate()

    def gpu_of(self, engine: str) -> GpuClass:
        """Return the GPU class of an engine, `UNKNOWN` before it has started."""
        return self._gpus.get(engine, UNKNOWN)

    def set_memory(self, engine: str, gpu_bytes: float, machine_bytes: float) -> None:
        """Set the sizes of an engine's GPU memory and of the machine's memory in bytes."""
        self._memories[engine] = gpu_bytes * FOR_MODELS, machine_bytes * FOR_MODELS
        self.estimator.set_memory(engine, *self._memories[engine])

    def restore(self, learned: LearnedState) -> None:
        """Go on with what an earlier process has learned."""
        self.estimator = Estimator(self._gpus, learned)
        for engine, memory in self._memories.items():
            self.estimator.set_memory(engine, *memory)
        self._lines.estimator = self._observer.estimator = self.estimator
        self._lines.outdate()

    def predicted(self, job: Job) -> Prediction | None:
        """Return the seconds of a job's whole run, or None for a job that has run.

        The engine is the one that has the job, or else the one that is expected to end it first.
        """
        estimate = self._jobs.get(job.folder)
        if estimate is None:
            return None
        if estimate.run is not None:
            return estimate.run.forecast.whole
        if not estimate.needs_engine:
            return None
        return estimate.forecasts[self._line_with(estimate).engine].forecast.whole

    def expected(self, work: JobWork) -> Prediction:
        """Return the seconds of a job that nobody has sent, if an engine ran it now."""
        work = bounded(work)
        predictions = [
            self.estimator.job(engine, work, self.estimator.expect_cached(engine, work)) for engine in self.alive
        ]
        return min(predictions, key=lambda prediction: prediction.p50_s, default=NOTHING)

    def seconds_on(self, job: Job, engine: str) -> float:
        """Return the seconds that a job would run on an engine if its models are loaded. 0 for an unknown job."""
        estimate = self._jobs.get(job.folder)
        if estimate is None:
            return 0.0
        forecast = self._lines.forecast(estimate, Line(engine), time.monotonic())
        return forecast.whole.p50_s - forecast.load_s

    def files_of(self, job: Job) -> dict[str, FileLoad]:
        """Return the model files that a job loads, by name. Nothing for an unknown job."""
        estimate = self._jobs.get(job.folder)
        return {file: self.estimator.file_load(file) for file in sorted(estimate.files)} if estimate else {}

    def gpu_bytes(self, engine: str) -> float:
        """Return the bytes of model files that fit into the memory of an engine's GPU."""
        return self.estimator.gpu_bytes(engine)

    def placed_s(self, engine: str) -> float:
        """Return the seconds until an engine has run the jobs that have a place in it, to compare it with others.

        A job counts at most as it was predicted. One that takes longer is probably no exception: the jobs that wait may
        take as much longer, and an engine must not be avoided because it has been the first to show that.
        """
        now = time.monotonic()
        line = self._placed_line(engine)
        excess_s = 0.0
        for estimate in line.jobs:
            if estimate.run is not None:
                excess_s += max(0.0, estimate.run.remaining(now).p50_s - estimate.run.forecast.whole.p50_s)
        return max(0.0, line.p50_s - excess_s)

    def remaining(self, job: Job) -> Prediction:
        """Return the seconds that an engine will still spend on a job: nothing once it delivers its outputs."""
        estimate = self._jobs.get(job.folder)
        if estimate is None or not estimate.needs_engine:
            return NOTHING
        if estimate.run is not None:
            return estimate.run.remaining(time.monotonic())
        return self.predicted(job) or NOTHING

    def finish(self, job: Job) -> Prediction:
        """Return the seconds until the run of a job ends, with the jobs before it. Nothing if it has ended."""
        estimate = self._jobs.get(job.folder)
        if estimate is None or not estimate.needs_engine:
            return NOTHING
        return self._line_with(estimate).end_of(estimate)

    def wait(self) -> Prediction:
        """Return the seconds until an engine has run all of its jobs, which is what a new job would wait."""
        totals = [line.total for line in self._all_lines().values()]
        return min(totals, key=lambda total: total.p50_s, default=NOTHING)

    def next_end(self) -> Prediction:
        """Return the seconds until the first of the current jobs has run."""
        ends = [line.ends[0] for line in self._all_lines().values() if line.ends]
        return Prediction(*min(ends)) if ends else NOTHING

    def queue_s(self) -> float:
        """Return the seconds until all current jobs have run."""
        return max(self.remaining_by_engine().values(), default=0.0)

    def remaining_by_engine(self) -> dict[str, float]:
        """Return the seconds that each alive engine will still run.

        Jobs that wait count for the engine on which they are expected to end first. Nodes of jobs that have ended count
        while they still run.
        """
        return {engine: line.p50_s for engine, line in self._all_lines().items()}

    def running_by_engine(self) -> dict[str, float]:
        """Return the seconds that each engine still runs its present job. They are part of `remaining_by_engine`."""
        now = time.monotonic()
        return {
            engine: sum(estimate.run.remaining(now).p50_s for estimate in placed if estimate.run is not None)
            for engine, placed in self._placed.items()
        }

    def work(self, job: JobRef) -> JobWork | None:
        """Return the work of a job, or None for a job that has ended."""
        estimate = self._jobs.get(job.folder)
        return estimate.work if estimate is not None else None

    def _line_with(self, estimate: JobEstimate) -> Line:
        """Return the line that a job is in."""
        if estimate.engine is not None:
            return self._placed_line(estimate.engine)
        return next(line for line in self._all_lines().values() if estimate in line.jobs)

    def _placed_line(self, engine: str) -> Line:
        """Return the line of the jobs that have a place in an engine."""
        now = time.monotonic()
        return self._lines.of_engine(engine, self._placed[engine], self._observer.blocked(engine, now), now)

    def _all_lines(self) -> dict[str, Line]:
        """Return the lines of the alive engines, with the jobs that wait for one."""
        lines = {engine: self._placed_line(engine) for engine in self.alive}
        waiting = [estimate for estimate in self._jobs.values() if estimate.engine is None and estimate.needs_engine]
        if waiting:
            self._lines.add_waiting(lines, waiting, time.monotonic())
        return lines
