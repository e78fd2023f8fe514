"""How the stand-in behaves: every way in which the real API is known to be slow, absent or unfriendly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class CallFault(StrEnum):
    """What happens to one call. `took effect` means that only the answer is lost."""

    ERROR_500 = "500, nothing happened"
    ERROR_502 = "502, nothing happened"
    CLOSED = "connection closed, nothing happened"
    LATE = "took effect, no answer in time"
    DROPPED = "took effect, connection closed"
    ERROR_504 = "took effect, 504"
    LIMITED = "429, nothing happened"

    @property
    def takes_effect(self) -> bool:
        return self in (CallFault.LATE, CallFault.DROPPED, CallFault.ERROR_504)


@dataclass(frozen=True, slots=True)
class WorkerLifecycle:
    """What becomes of a worker: creating, then loading, then `ends`. Times are seconds."""

    creating_s: float = 0.0
    loading_s: float = 0.0
    ends: str = "idle"
    """`idle`, `error`, or `loading` for one that never gets ready."""


@dataclass(frozen=True, slots=True)
class AccountFaultConfig:
    """One frozen set of switches; `LocalAccount.configure` replaces it while everything runs. Times are seconds."""

    faults: Mapping[int, CallFault] = field(default_factory=dict)
    """By number of the call; the first one is 1."""
    hang_s: float = 5.0
    """How long a late answer takes."""
    interval_s: float = 0.0
    """Between two calls of the same kind; sooner is 429 in plain text."""
    refusals_count: bool = False
    """Whether a refused call begins a new interval. Unknown of the real one."""
    retry_after: bool = False
    """Whether 429 comes with that header. The real one doesn't, its docs say."""
    puts_replace: bool = True
    """What a PUT leaves out or nulls goes back to its default; False keeps it. Unknown of the real one."""
    updates_by_itself: bool = False
    """Whether a group's new template moves its workers without `update_workers`. The docs say yes, the CLI no."""
    plain_values: bool = False
    """Whether values of variables may have only letters, digits and `_.-`, as one page of the docs says."""
    filters_heeded: bool = True
    """False gives all visible templates, whatever is asked for."""
    groups_named: bool = False
    """Whether rows of workers have the id of their group. No source shows one."""
    lifecycle: WorkerLifecycle = field(default_factory=WorkerLifecycle)
    lifecycles: Mapping[str, WorkerLifecycle] = field(default_factory=dict)
    """Of the workers of some templates, by hash or by `image:tag`."""
    measured_perf: float = 100.0
    """Workload/s of a worker that is ready."""
