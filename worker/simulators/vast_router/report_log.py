"""A log of all status reports and deletions that the autoscaler received, with sums for each worker."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

KEPT = 10_000


@dataclass(frozen=True, slots=True)
class StatusReport:
    """One `POST /worker_status/`, with the SDK's fields.

    Loads are units, and `max_perf` is units a second. `cur_perf` is the work that was served since the report before.
    """

    id: int
    url: str
    loadtime: float = 0.0
    cur_load: float = 0.0
    new_load: float = 0.0
    rej_load: float = 0.0
    max_perf: float = 0.0
    cur_perf: float = 0.0
    error_msg: str = ""
    working_request_idxs: tuple[int, ...] = ()
    at: float = field(default_factory=time.time)

    @property
    def seconds_to_do(self) -> float:
        """Seconds that the worker needs for its load, or 0 while it reports no speed."""
        return self.cur_load / self.max_perf if self.max_perf else 0.0

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> StatusReport:
        """Return the report in a body. Missing fields get their defaults.

        A start script that fails sends only its id, its URL and the error.
        """
        number_fields = ("loadtime", "cur_load", "new_load", "rej_load", "max_perf", "cur_perf")
        return cls(
            id=int(body["id"]),
            url=str(body["url"]),
            error_msg=str(body.get("error_msg") or ""),
            working_request_idxs=tuple(body.get("working_request_idxs", ())),
            **{name: float(body.get(name, 0.0)) for name in number_fields},
        )


@dataclass(frozen=True, slots=True)
class Deletion:
    """One request that a worker reported as done."""

    worker_id: int
    request_idx: int
    success: bool
    status: str
    entered_queue_at: float = 0.0
    work_started_at: float = 0.0
    work_completed_at: float = 0.0


@dataclass(frozen=True, slots=True)
class WorkerSummary:
    """The sums of one worker's reports.

    `loads` are the values of `cur_load` in order, without repetitions. `most_seconds` is the largest `seconds_to_do`.
    """

    worker_id: int
    max_perf: float
    loads: tuple[float, ...]
    most_seconds: float
    served: float
    rejected: float
    deleted: int
    error_msg: str


class ReportLog:
    """The latest reports, oldest first. `until` waits for a condition on them."""

    def __init__(self) -> None:
        self.statuses: deque[StatusReport] = deque(maxlen=KEPT)
        self.deletions: deque[Deletion] = deque(maxlen=KEPT)
        self.routed: deque[tuple[int, int]] = deque(maxlen=KEPT)
        """Pairs of request_idx and worker id, one for each request that was routed."""
        self._changed = asyncio.Event()

    def add(self, *facts: StatusReport | Deletion | tuple[int, int]) -> None:
        """Add reports, deletions or routed requests, and wake `until`."""
        for fact in facts:
            if isinstance(fact, StatusReport):
                self.statuses.append(fact)
            elif isinstance(fact, Deletion):
                self.deletions.append(fact)
            else:
                self.routed.append(fact)
        # `until` waits for the present event. A new one is needed for the next change.
        self._changed.set()
        self._changed = asyncio.Event()

    def clear(self) -> None:
        """Remove all reports, deletions and routed requests."""
        for facts in (self.statuses, self.deletions, self.routed):
            facts.clear()

    async def until(self, condition: Callable[[ReportLog], bool], timeout_s: float | None = 25.0) -> None:
        """Wait until `condition(self)` is true. Raises TimeoutError after `timeout_s` seconds, never with None."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                await self._changed.wait()

    def reports_of(self, worker_id: int) -> list[StatusReport]:
        """Return the status reports of one worker, oldest first."""
        return [status for status in self.statuses if status.id == worker_id]

    def summaries(self) -> list[WorkerSummary]:
        """Return the sums for each worker, in the order of their ids."""
        return [self._summary(worker_id) for worker_id in sorted({status.id for status in self.statuses})]

    def _summary(self, worker_id: int) -> WorkerSummary:
        """Return the sums of one worker's reports."""
        statuses = self.reports_of(worker_id)
        loads = [status.cur_load for status in statuses]
        previous_loads = [None, *loads]
        return WorkerSummary(
            worker_id=worker_id,
            max_perf=max(status.max_perf for status in statuses),
            loads=tuple(load for load, previous in zip(loads, previous_loads, strict=False) if load != previous),
            most_seconds=max(status.seconds_to_do for status in statuses),
            served=sum(status.cur_perf for status in statuses),
            rejected=sum(status.rej_load for status in statuses),
            deleted=sum(deletion.worker_id == worker_id for deletion in self.deletions),
            error_msg=statuses[-1].error_msg,
        )
