"""Predicts the seconds of jobs by their units and the speeds of the engines. To be replaced by `JobEstimates`."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from worker.app import App
from worker.job import Job, JobRef, JobState
from worker.load.node_work import JobWork
from worker.load.prediction import Prediction
from worker.load.throughput import Throughput
from worker.load.work import job_work


@dataclass(slots=True)
class UnitEstimates:
    """Predictions of jobs from the closed form alone."""

    app: App
    throughput: Throughput

    def work_of(self, job: JobRef) -> JobWork | None:
        """Return the work of a job."""
        found = self.app.jobs.get(job)
        return job_work(found.request.prompt, self.app.engines.known_catalog) if found else None

    def remaining_by_engine(self) -> Mapping[str, float]:
        """Return the seconds of all jobs by engine."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for job in self.app.jobs.unfinished():
            seconds[self._engine(job)] += self._remaining_s(job)
        return seconds

    def running_by_engine(self) -> Mapping[str, float]:
        """Return the seconds of the running jobs by engine."""
        seconds: defaultdict[str, float] = defaultdict(float)
        for job in self.app.jobs.unfinished():
            if job.state is JobState.GENERATING:
                seconds[self._engine(job)] += self._remaining_s(job)
        return seconds

    def _engine(self, job: Job) -> str:
        return job.engine or self.app.engines.alive[0].name

    def _remaining_s(self, job: Job) -> float:
        speed = self.throughput.units_per_s(self._engine(job), time.monotonic())
        if job.state is JobState.DELIVERING or not speed:
            return 0.0
        seconds = job.workload / speed
        elapsed_s = job.in_state_s if job.state is JobState.GENERATING else 0.0
        return Prediction(seconds, 2 * seconds).after(elapsed_s).p50_s
