"""The life of a rented worker, as the billing rules need it. All times are seconds of one clock, from any zero."""

from __future__ import annotations

from dataclasses import dataclass

Interval = tuple[float, float]
"""Start and end in seconds."""


@dataclass(frozen=True, slots=True)
class WorkerRun:
    """One time that a worker is awake, from its start until its GPU is released.

    The times are in this order, and may be equal. Where no image has to be pulled, `pull_start` is `load_start`. In a
    run that never became ready, `ready` is `stopped`.
    """

    pull_start: float
    """The machine is assigned, and the pull of the image starts."""
    load_start: float
    """The container starts, and begins to load ComfyUI and the models."""
    ready: float
    """The worker accepts jobs."""
    stopped: float
    """The container has ended and its GPU is released, after an idle timeout if there is one."""
    busy: tuple[Interval, ...] = ()
    """Intervals in which jobs ran. They do not overlap."""
    errors: tuple[Interval, ...] = ()
    """Intervals between `load_start` and `stopped` in which the platform counted the worker as failed."""

    @property
    def error_s(self) -> float:
        """Seconds in which the worker had failed."""
        return _seconds(self.errors)

    @property
    def busy_s(self) -> float:
        """Seconds in which jobs ran."""
        return _seconds(self.busy)

    @property
    def idle_s(self) -> float:
        """Seconds in which the worker was ready, and no job ran."""
        return self.stopped - self.ready - self.busy_s


@dataclass(frozen=True, slots=True)
class WorkerLife:
    """A worker from its creation until its removal, with the runs between, in order."""

    created: float
    """The worker is requested. From here on its disk exists."""
    runs: tuple[WorkerRun, ...]
    removed: float
    """The worker and its disk are deleted."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What a worker has and uses. GB are 10^9 bytes, GiB 2^30 bytes.

    Only Modal bills CPU and memory apart, and only Vast bills traffic.
    """

    gpus: int = 1
    disk_gb: float = 0.0
    """Size of the container's disk, in GB at Vast and RunPod, and in GiB at Modal."""
    cpu_cores: float = 0.0
    """Physical cores that are requested."""
    cpu_cores_used: float = 0.0
    memory_gib: float = 0.0
    """Memory that is requested."""
    memory_gib_used: float = 0.0
    download_gb: float = 0.0
    upload_gb: float = 0.0


def _seconds(intervals: tuple[Interval, ...]) -> float:
    """Return the total length of intervals."""
    return sum(end - start for start, end in intervals) if intervals else 0.0
