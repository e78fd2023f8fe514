"""The choice of a worker for a request. There is no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum, auto

WORKER_ID = "X-Runpod-Worker-Id"
"""Header with the worker of a response, and in a request with the worker that should get it."""


class HealthState(Enum):
    """What the last health check of a worker has shown."""

    INITIALIZING = auto()
    READY = auto()
    UNHEALTHY = auto()

    @classmethod
    def of(cls, status: int | None) -> HealthState:
        """Return the state for the status of `/ping`, None for no response."""
        return {200: cls.READY, 204: cls.INITIALIZING}.get(status or 0, cls.UNHEALTHY)


class AffinityMode(StrEnum):
    """How strongly a request is bound to a worker. The values are those of the header."""

    NONE = ""
    SOFT = "soft"
    STRICT = "strict"
    STRICT_RESUME = "strict-resume"


@dataclass(frozen=True, slots=True)
class Affinity:
    """The worker that a request asks for."""

    mode: AffinityMode = AffinityMode.NONE
    worker_id: str = ""

    @classmethod
    def read(cls, header: str) -> Affinity:
        """Return the affinity in a header: `ID`, `strict ID`, `strict-resume ID`, or nothing."""
        words = header.split()
        if len(words) == 2 and words[0] in (AffinityMode.STRICT, AffinityMode.STRICT_RESUME):
            return cls(AffinityMode(words[0]), words[1])
        return cls(AffinityMode.SOFT, words[0]) if len(words) == 1 else cls()

    @property
    def is_strict(self) -> bool:
        """Whether no other worker may get the request."""
        return self.mode in (AffinityMode.STRICT, AffinityMode.STRICT_RESUME)


@dataclass(slots=True, eq=False)
class BalancedWorker:
    """A worker behind the load balancer. Times are of the monotonic clock, None means not yet."""

    id: str
    url: str
    health_url: str
    state: HealthState | None = None
    """None before the first health check has ended."""
    open_requests: int = 0
    served: int = 0
    first_204_at: float | None = None
    first_200_at: float | None = None

    def note_health(self, status: int | None, now: float) -> None:
        """Store the result of a health check."""
        self.state = HealthState.of(status)
        if status == 204 and self.first_204_at is None:
            self.first_204_at = now
        if status == 200 and self.first_200_at is None:
            self.first_200_at = now

    @property
    def cold_start_s(self) -> float | None:
        """Seconds from the first 204 to the first 200, RunPod's measure of a cold start."""
        if self.first_204_at is None or self.first_200_at is None:
            return None
        return self.first_200_at - self.first_204_at


def choose(workers: Mapping[str, BalancedWorker], affinity: Affinity, concurrency: int) -> BalancedWorker | None:
    """Return the worker for a request: the one that it asks for, or the ready one with the fewest requests."""
    free = {
        worker.id: worker
        for worker in workers.values()
        if worker.state is HealthState.READY and worker.open_requests < concurrency
    }
    if affinity.worker_id in free:
        return free[affinity.worker_id]
    if affinity.is_strict:
        return None
    return min(free.values(), key=lambda worker: (worker.open_requests, worker.served), default=None)
