"""Estimates of how long a job takes on an engine, by its measured speed and by the models it has to load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from worker.engine.placement import EngineLoad
from worker.job import Job
from worker.load.pace import Paces

ASSUMED_UNITS_PER_S = 50.0
"""Speed before the first measurement: that of a mid-range GPU."""
DISK_BYTES_PER_S = 1e9
"""Speed of loading a model from the disk into the GPU's memory."""
MEMORY_BYTES = 24 * 2**30
"""Bytes of models that an engine is assumed to keep loaded, the most recent ones first."""
MODEL_BYTES = 2 * 2**30
"""Assumed size of a model whose file is not found."""


@dataclass(slots=True)
class Estimates:
    """Predicted run and load times of jobs.

    `sizes_of` returns the models of a job by name, with their sizes in bytes, or None for an unknown size.
    """

    paces: Paces
    sizes_of: Callable[[Job], Mapping[str, int | None]] = lambda _: {}
    _sizes: dict[str, int] = field(default_factory=dict)

    def models(self, job: Job) -> tuple[str, ...]:
        """Return the names of the models that a job loads. Their sizes are remembered for `load_seconds`."""
        sizes = self.sizes_of(job)
        self._sizes.update({name: MODEL_BYTES if size is None else size for name, size in sizes.items()})
        return tuple(sizes)

    def seconds(self, job: Job, engine: EngineLoad) -> float:
        """Return the seconds that a job runs on an engine once its models are loaded."""
        return job.workload / (self.paces.of(engine.name) or ASSUMED_UNITS_PER_S)

    def load_seconds(self, models: tuple[str, ...], engine: EngineLoad) -> float:
        """Return the seconds to load those of a job's models that the engine has not loaded.

        The models that the engine used last are assumed to be loaded, as far as they fit into MEMORY_BYTES.
        """
        if not models:
            return 0.0
        loaded, free_bytes = set[str](), MEMORY_BYTES
        for name in reversed(engine.used_models):  # the last used first
            free_bytes -= self._sizes.get(name, MODEL_BYTES)
            if free_bytes < 0:
                break
            loaded.add(name)
        return sum(self._sizes.get(name, MODEL_BYTES) for name in models if name not in loaded) / DISK_BYTES_PER_S
