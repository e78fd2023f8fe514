"""Switches of the simulation: the ways in which the real API is known to be slow, unavailable or inconvenient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class CallFault(StrEnum):
    """What happens to one call. `took effect` means that only the response is lost."""

    ERROR_500 = "500, nothing happened"
    ERROR_502 = "502, nothing happened"
    CLOSED = "connection closed, nothing happened"
    LATE = "took effect, no answer in time"
    DROPPED = "took effect, connection closed"
    ERROR_504 = "took effect, 504"
    LIMITED = "429, nothing happened"

    @property
    def takes_effect(self) -> bool:
        """Whether the call changes the account although its response is lost."""
        return self in (CallFault.LATE, CallFault.DROPPED, CallFault.ERROR_504)


@dataclass(frozen=True, slots=True)
class WorkerLifecycle:
    """The states of a worker after its start: creating, then loading, then `final_status`. Times are seconds."""

    creating_s: float = 0.0
    loading_s: float = 0.0
    final_status: str = "idle"
    """`idle`, `error`, or `loading` for a worker that never becomes ready."""


@dataclass(frozen=True, slots=True)
class AccountFaultConfig:
    """The switches, which `LocalAccount.configure` replaces while the simulation runs. Times are seconds."""

    faults: Mapping[int, CallFault] = field(default_factory=dict)
    """Faults by the number of the call; the first call is 1."""
    hang_s: float = 5.0
    """Duration of a late response."""
    interval_s: float = 0.0
    """Minimum interval between two calls of the same kind. A call before that gets 429 in plain text."""
    refusals_count: bool = False
    """Whether a rejected call starts a new interval. Unknown for the real API."""
    retry_after: bool = False
    """Whether 429 has a Retry-After header. According to its docs, the real API does not send one."""
    puts_replace: bool = True
    """Whether a PUT resets fields that are missing or null, or keeps them. Unknown for the real API."""
    updates_by_itself: bool = False
    """Whether a group's new template updates its workers without `update_workers`. The docs say yes, the CLI no."""
    plain_values: bool = False
    """Whether values of variables can only have letters, digits and `_.-`, as one page of the docs says."""
    filters_heeded: bool = True
    """False returns all visible templates and ignores the filters."""
    groups_named: bool = False
    """Whether rows of workers have the id of their group. No source shows such a row."""
    lifecycle: WorkerLifecycle = field(default_factory=WorkerLifecycle)
    """Lifecycle of all other workers."""
    lifecycles: Mapping[str, WorkerLifecycle] = field(default_factory=dict)
    """Lifecycles of the workers of some templates, by hash or by `image:tag`."""
    measured_perf: float = 1.0
    """Speed of a ready worker in units a second. 1 is that of an RTX 4090."""
