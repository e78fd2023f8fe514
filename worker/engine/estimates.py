"""How long a job takes on an engine: by the measured pace, and by the sizes of the models that are not loaded there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from worker.engine.placement import EngineLoad
from worker.job import Job
from worker.load.pace import Paces

ASSUMED_UNITS_PER_S = 50.0
"""Before anything was measured: a mid-range GPU."""
DISK_BYTES_PER_S = 1e9
"""From the disk into the GPU's memory."""
MEMORY_BYTES = 24 * 2**30
"""What an engine keeps of the models that it used last."""
MODEL_BYTES = 2 * 2**30
"""Of a model whose file can't be seen."""


@dataclass(slots=True)
class Estimates:
    """`sizes_of` returns the models of a job by name, each with its bytes, None where they are not known."""

    paces: Paces
    sizes_of: Callable[[Job], Mapping[str, int | None]] = lambda _: {}
    _sizes: dict[str, int] = field(default_factory=dict)

    def models(self, job: Job) -> tuple[str, ...]:
        """Return the names of the models that a job loads."""
        sizes = self.sizes_of(job)
        self._sizes.update({name: MODEL_BYTES if size is None else size for name, size in sizes.items()})
        return tuple(sizes)

    def seconds(self, job: Job, engine: EngineLoad) -> float:
        """Return how long a job runs there once its models are loaded."""
        return job.workload / (self.paces.of(engine.name) or ASSUMED_UNITS_PER_S)

    def load_seconds(self, models: tuple[str, ...], engine: EngineLoad) -> float:
        """Return how long its models take to load there: those that are not among the last ones that fit."""
        if not models:
            return 0.0
        loaded, room = set[str](), MEMORY_BYTES
        for name in reversed(engine.used):
            room -= self._sizes.get(name, MODEL_BYTES)
            if room < 0:
                break
            loaded.add(name)
        return sum(self._sizes.get(name, MODEL_BYTES) for name in models if name not in loaded) / DISK_BYTES_PER_S
