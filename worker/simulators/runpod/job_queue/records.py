"""A job of a queue-based endpoint, its states, and the counts of its deliveries."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

MS = 1000
SYNC = "sync-"
"""Prefix of the ids of jobs from /runsync."""


class RunpodStatus(StrEnum):
    """The states that clients see."""

    IN_QUEUE = "IN_QUEUE"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state has ended."""
        return self not in (RunpodStatus.IN_QUEUE, RunpodStatus.IN_PROGRESS)


@dataclass(frozen=True, slots=True)
class JobPolicy:
    """The `policy` of a request, in seconds. None means the endpoint's default."""

    execution_timeout_s: float | None = None
    ttl_s: float | None = None
    low_priority: bool = False

    @classmethod
    def read(cls, policy: Mapping[str, Any]) -> JobPolicy:
        """Return the policy of a request's body, whose durations are milliseconds. Raises ValueError."""
        execution_timeout_s, ttl_s = _seconds(policy, "executionTimeout"), _seconds(policy, "ttl")
        return cls(execution_timeout_s, ttl_s, low_priority=bool(policy.get("lowPriority")))


@dataclass(slots=True)
class DeliveryCounts:
    """What happened to one job. It is kept after the job has expired.

    `taken` counts deliveries to workers, `accepted` results that ended the job, `ignored` results that changed nothing,
    `refused` results that were answered with an error, and `lost` workers that were lost while they had the job.
    """

    taken: int = 0
    accepted: int = 0
    ignored: int = 0
    refused: int = 0
    lost: int = 0
    progress: int = 0
    late_progress: int = 0
    workers: list[str] = field(default_factory=list)
    status: RunpodStatus = RunpodStatus.IN_QUEUE


@dataclass(slots=True, eq=False)
class RunpodJob:
    """One job. Times are those of the caller's clock, in seconds.

    `holders` are the ids of the workers that have it. `extra` are the keys that its worker sees beside `id` and
    `input`: `webhook` and `s3Config`.
    """

    id: str
    input: Any
    created_at: float
    policy: JobPolicy = JobPolicy()
    extra: dict[str, Any] = field(default_factory=dict)
    status: RunpodStatus = RunpodStatus.IN_QUEUE
    started_at: float | None = None
    pinged_at: float | None = None
    """Time of the first ping that named the job."""
    ended_at: float | None = None
    worker_id: str = ""
    holders: set[str] = field(default_factory=set)
    result: dict[str, Any] = field(default_factory=dict)
    chunks: list[Any] = field(default_factory=list)
    """Parts of the output that /stream has not returned yet."""
    all_chunks: list[Any] = field(default_factory=list)
    counts: DeliveryCounts = field(default_factory=DeliveryCounts)

    @classmethod
    def submitted(cls, body: Mapping[str, Any], now: float, *, sync: bool) -> RunpodJob:
        """Return the job of a request's body. Raises ValueError for a body that is no request."""
        if "input" not in body:
            raise ValueError("input: missing")
        policy = body.get("policy") or {}
        if not isinstance(policy, Mapping):
            raise ValueError("policy: expected an object")
        extra = {name: body[name] for name in ("webhook", "s3Config") if body.get(name)}
        return cls(f"{SYNC * sync}{uuid.uuid4()}-u1", body["input"], now, JobPolicy.read(policy), extra)

    @property
    def is_sync(self) -> bool:
        """Whether the job came from /runsync."""
        return self.id.startswith(SYNC)

    @property
    def taken_form(self) -> dict[str, Any]:
        """The job as its worker gets it."""
        return {"id": self.id, "input": self.input, **self.extra}

    def status_form(self, *, shows_worker: bool = True) -> dict[str, Any]:
        """Return the job as clients and webhooks see it. Times are milliseconds."""
        form: dict[str, Any] = {"id": self.id, "status": self.status.value}
        if self.started_at is not None:
            form["delayTime"] = round((self.started_at - self.created_at) * MS)
            form |= {"workerId": self.worker_id} if shows_worker else {}
            if self.ended_at is not None and self.status is not RunpodStatus.CANCELLED:
                form["executionTime"] = round((self.ended_at - self.started_at) * MS)
        return {**form, **self.result}


def _seconds(policy: Mapping[str, Any], name: str) -> float | None:
    """Return a duration of a policy in seconds, None if it is missing. Raises ValueError."""
    value = policy.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        raise ValueError(f"policy.{name}: expected a positive number of milliseconds")
    return value / MS
