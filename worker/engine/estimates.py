"""Estimates for the placement of jobs: how long a job takes on an engine, and its models to load."""

from __future__ import annotations

from worker.engine.placement import EngineLoad
from worker.job import Job
from worker.load.forecast import FileLoad
from worker.load.job_estimates import JobEstimates


class PlacementEstimates:
    """Predicted run and load times of jobs on engines."""

    def __init__(self, estimates: JobEstimates) -> None:
        self._estimates = estimates
        self._files: dict[str, FileLoad] = {}
        """The model files of all jobs, by name."""

    def models(self, job: Job) -> tuple[str, ...]:
        """Return the names of the models that a job loads. Their load times are remembered for `load_seconds`."""
        files = self._estimates.files_of(job)
        self._files.update(files)
        return tuple(files)

    def queued_seconds(self, engine: str) -> float:
        """Return the seconds until an engine has run the jobs that have a place in it."""
        return self._estimates.placed_s(engine)

    def seconds(self, job: Job, engine: EngineLoad) -> float:
        """Return the seconds that a job runs on an engine once its models are loaded."""
        return self._estimates.seconds_on(job, engine.name)

    def load_seconds(self, models: tuple[str, ...], engine: EngineLoad) -> float:
        """Return the seconds to load those of a job's models that the engine has not loaded.

        The models that the engine used last are assumed to be loaded, as far as they fit into its GPU's memory.
        """
        if not models:
            return 0.0
        loaded, free_bytes = set[str](), self._estimates.gpu_bytes(engine.name)
        for name in reversed(engine.used_models):  # the last used first
            free_bytes -= self._files[name].size
            if free_bytes < 0:
                break
            loaded.add(name)
        return sum(self._files[name].seconds for name in models if name not in loaded)

    def set_place(self, job: Job, engine: str) -> None:
        """Record that a job has a place in an engine."""
        self._estimates.set_place(job, engine)

    def remove_place(self, job: Job) -> None:
        """Record that a job has no place in an engine any more."""
        self._estimates.remove_place(job)
