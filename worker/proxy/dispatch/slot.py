"""A backend of the proxy with its settings, and what is known about its state."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from worker.backends.base import Backend, BackendLoad, Uniqueness


@dataclass(slots=True, eq=False)
class BackendSlot:
    """A backend.

    - `lost_after_s` is the time without any response after which the jobs of the backend count as lost.
    - `resubmits` means that a lost job is sent again, to this backend or another one.
    - `max_queue` is the number of waiting jobs above which new ones go elsewhere. None means no limit.
    """

    backend: Backend
    lost_after_s: float = 60.0
    resubmits: bool = True
    max_queue: int | None = None
    open_jobs: int = 0
    """Jobs of this proxy that the backend may have."""
    load: BackendLoad | None = None
    """The numbers that the backend has reported, None if they are not known."""
    problem: str = ""
    """Why the backend cannot be used now, empty if it can."""
    silent_since: float | None = field(default=None)
    """Time on the monotonic clock of the first request in a row without a response."""

    @property
    def name(self) -> str:
        """Name of the backend."""
        return self.backend.name

    @property
    def may_repeat(self) -> bool:
        """Whether a submission may be sent again after its answer was lost: a second run is impossible, or allowed."""
        return self.resubmits or self.backend.capabilities.uniqueness is not Uniqueness.NONE

    @property
    def queued(self) -> int:
        """Number of jobs that wait at the backend, as far as it is known."""
        return self.load.queued if self.load is not None else 0

    def responded(self) -> None:
        """Record a response."""
        self.silent_since, self.problem = None, ""

    def did_not_respond(self, reason: str) -> float:
        """Record a request without a response. Return the seconds since the first of them in a row."""
        now = time.monotonic()
        if self.silent_since is None:
            self.silent_since = now
        self.problem = reason
        return now - self.silent_since
