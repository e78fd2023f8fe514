"""The life of a simulated worker: how long it was in which state. Bills are made from it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum


class LifeState(StrEnum):
    """What a worker does. A worker that no longer exists has no state."""

    CREATING = "creating"
    """A machine is being rented."""
    LOADING = "loading"
    """It pulls the image and loads its models for the first time."""
    STARTING = "starting"
    """It was inactive, and starts again on the same disk."""
    READY = "ready"
    """It takes jobs."""
    DRAINING = "draining"
    """It finishes its jobs and takes no more."""
    INACTIVE = "inactive"
    """It is stopped, and keeps its disk."""


@dataclass(frozen=True, slots=True)
class LifeInterval:
    """A time in one state, in seconds since the start of the run."""

    state: LifeState
    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """Length of the interval."""
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class SimulatedLife:
    """Everything that a worker was during a run.

    Attributes:
        number: Number of the worker, from 0.
        speed: Its speed relative to an RTX 4090.
        intervals: Its states in order, without gaps.
        busy_s: Seconds in which it ran a job or loaded the models for one.
        jobs: Jobs that it has finished.
        has_failed: Whether it ended because its creation or its machine failed.
    """

    number: int
    speed: float
    intervals: tuple[LifeInterval, ...]
    busy_s: float
    jobs: int
    has_failed: bool

    def seconds(self, states: Collection[LifeState]) -> float:
        """Return the seconds that the worker spent in these states."""
        return sum(interval.seconds for interval in self.intervals if interval.state in states)

    @property
    def starts(self) -> int:
        """Number of times that the worker was created or started again."""
        return sum(interval.state in (LifeState.CREATING, LifeState.STARTING) for interval in self.intervals)
