"""Faults on demand: what happens to the next calls of an operation."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from worker.errors import InvalidFault


class RunpodFault(StrEnum):
    """What happens to one call. `took effect` means that only the response is lost."""

    STATUS = "the response has a status, nothing happened"
    CLOSED = "connection closed, nothing happened"
    DROPPED = "took effect, connection closed"
    STALL = "the call waits before it is handled"
    LATE = "took effect, the response waits"
    DUPLICATE = "job-take only: another worker gets the same job as well"
    CANCEL = "job-take only: the job is cancelled before the response is sent"


WORKER_OPERATIONS = frozenset({"job-take", "job-take-batch", "job-stop", "job-done", "job-stream", "ping"})
CLIENT_OPERATIONS = frozenset({"run", "runsync", "status", "status-sync", "stream", "cancel", "retry"})
OPERATIONS = WORKER_OPERATIONS | CLIENT_OPERATIONS | {"purge-queue", "health", "requests"}


@dataclass(slots=True)
class FaultRule:
    """A fault of the next `times` calls of an operation. None for `times` means all calls.

    `share` is the part of the calls that it affects, at random. `worker_id` and `job_id` restrict it to those of one
    worker or one job. `seconds` is the wait of STALL and LATE.
    """

    operation: str
    fault: RunpodFault
    times: int | None = 1
    status: int = 500
    seconds: float = 0.0
    share: float = 1.0
    worker_id: str = ""
    job_id: str = ""

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> FaultRule:
        """Return the rule of a control request, whose `fault` is a name like `closed`. Raises InvalidFault."""
        try:
            rule = cls(**{**body, "fault": RunpodFault[str(body.get("fault", "")).upper()]})
        except (KeyError, TypeError) as error:
            raise InvalidFault(f"not a fault rule: {error}") from None
        if rule.operation not in OPERATIONS:
            raise InvalidFault(f"operation {rule.operation!r}: expected one of {', '.join(sorted(OPERATIONS))}")
        return rule

    def matches(self, operation: str, worker_id: str, job_id: str) -> bool:
        """Return whether the rule is for this call."""
        return (
            self.operation == operation
            and self.times != 0
            and self.worker_id in ("", worker_id)
            and self.job_id in ("", job_id)
        )


@dataclass(slots=True)
class RunpodFaults:
    """The rules, of which the first that matches decides. `injected` counts the calls that each fault affected."""

    rules: list[FaultRule] = field(default_factory=list)
    injected: dict[str, int] = field(default_factory=dict)
    random: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 - repeatable

    def add(self, *rules: FaultRule) -> None:
        """Add rules."""
        self.rules.extend(rules)

    def clear(self) -> None:
        """Remove all rules."""
        self.rules.clear()

    def next(self, operation: str, worker_id: str = "", job_id: str = "") -> FaultRule | None:
        """Return the fault of a call and count it, or None."""
        for rule in self.rules:
            if rule.matches(operation, worker_id, job_id) and self.random.random() < rule.share:
                if rule.times is not None:
                    rule.times -= 1
                name = f"{operation} {rule.fault.name.lower()}"
                self.injected[name] = self.injected.get(name, 0) + 1
                return rule
        return None
