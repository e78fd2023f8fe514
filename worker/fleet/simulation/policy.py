"""What an autoscaler sees of a fleet, and what it decides. The simulation and the replay run the same policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class FleetView:
    """The state of a fleet at one decision. Loads are as the workers report them, in units.

    Attributes:
        now_s: Seconds since the start.
        ready: Workers that take jobs.
        starting: Workers that are being created, woken or loaded to become ready.
        inactive: Stopped workers, which start again faster than new ones are created, and those that are being created
            to be stopped.
        worker_perf: Units a second of one worker: the mean of the ready ones, or the expected one if none is ready.
        new_load: Load that arrived since the previous decision: what workers report as new or rejected, and the growth
            of `waiting_load`. So each job counts once. It is negative if a released job is not reported at once.
        current_load: Load that the ready workers report as not yet done.
        waiting_load: Load of the jobs that no worker has yet.
        waiting: Number of those jobs.
        oldest_wait_s: How long the first of them has waited, 0 without one.
        in_progress: Number of jobs that workers have.
        idle_s: For each ready worker without a job, how long it has had none, longest first.
    """

    now_s: float
    ready: int
    starting: int
    inactive: int
    worker_perf: float
    new_load: float
    current_load: float
    waiting_load: float
    waiting: int
    oldest_wait_s: float
    in_progress: int
    idle_s: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class FleetTarget:
    """What an autoscaler wants.

    Attributes:
        active: Workers that are ready or starting. A surplus is stopped, those without a job first.
        total: Workers that exist, with the inactive ones. At least `active`.
    """

    active: int
    total: int


class ScalingPolicy(Protocol):
    """An autoscaler. It keeps its own averages, so each run needs a new one."""

    @property
    def tick_s(self) -> float:
        """Seconds between two decisions."""
        ...

    def decide(self, view: FleetView) -> FleetTarget:
        """Return what is wanted now. The caller asks every `tick_s` seconds, in order."""
        ...
