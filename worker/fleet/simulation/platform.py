"""What a simulation has to know of a platform: how long workers take to start, how they fail, and what is billed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.fleet.simulation.life import LifeState


@dataclass(frozen=True, slots=True)
class BootTimes:
    """Seconds until a worker is ready.

    Attributes:
        creating_s: Until a rented machine begins to pull the image.
        loading_s: Pulling the image and loading the models, after that.
        starting_s: Starting an inactive worker again.
        spread: Standard deviation of a time, relative to it.
        slow_share: Share of creations that take `slow_s` longer.
        slow_s: Those seconds.
        fail_share: Share of creations that fail at their end.
    """

    creating_s: float = 30.0
    loading_s: float = 210.0
    starting_s: float = 45.0
    spread: float = 0.25
    slow_share: float = 0.025
    slow_s: float = 300.0
    fail_share: float = 0.025


IMMEDIATE = BootTimes(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Workers that are ready at once."""


@dataclass(frozen=True, slots=True)
class SimulatedPlatform:
    """A platform.

    Attributes:
        boot: How long workers take to start.
        billed: States in which the GPU is billed.
        failures_per_hour: Machines that fail in an hour in which they are ready. Their jobs run again elsewhere.
        attempts: Times that a job is started before it counts as failed.
        model_load_s: Seconds to load the models of a job whose kind differs from that of the worker's previous job.
        kind_load_s: The same for single kinds.
    """

    boot: BootTimes = field(default_factory=BootTimes)
    billed: frozenset[LifeState] = frozenset(
        {LifeState.LOADING, LifeState.STARTING, LifeState.READY, LifeState.DRAINING}
    )
    failures_per_hour: float = 0.0
    attempts: int = 3
    model_load_s: float = 0.0
    kind_load_s: Mapping[str, float] = field(default_factory=dict)

    def load_s(self, kind: str) -> float:
        """Return the seconds to load the models of a kind of jobs."""
        return self.kind_load_s.get(kind, self.model_load_s)


VAST = SimulatedPlatform()
"""Vast bills the GPU from the pull of the image on, except while a worker is inactive. Its boot times are inferred."""
RUNPOD = SimulatedPlatform(
    BootTimes(creating_s=10.0, loading_s=170.0, starting_s=25.0),
    billed=frozenset({LifeState.STARTING, LifeState.READY, LifeState.DRAINING}),
)
"""RunPod bills from the start of a worker to its stop. Creating its workers ("initializing") is free."""
MODAL = SimulatedPlatform(
    BootTimes(creating_s=2.0, loading_s=30.0, starting_s=30.0, slow_share=0.0, fail_share=0.0),
)
"""Modal bills from the start of a container to its end. A container that has stopped is gone."""
