"""The workers and the choice of one for the next request. There is no I/O, and the caller passes the time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.simulators.vast_router.report_log import StatusReport

FORGET_S = 60.0
"""Seconds after which an assignment that the worker never reports stops counting, as the client's `replay_timeout`."""


@dataclass(slots=True)
class PoolMember:
    """One worker: its last report, and the requests that it was given since."""

    status: StatusReport
    reported_at: float
    assigned: dict[int, tuple[float, float]] = field(default_factory=dict)
    """Cost and time of each request_idx that the worker does not report yet."""
    reqnum: int = 0
    idle_since: float | None = None
    """Time since which the worker has no request, None while it has some."""

    @property
    def load(self) -> float:
        """Workload of all requests that the worker has."""
        return self.status.cur_load + sum(cost for cost, _ in self.assigned.values())

    @property
    def requests(self) -> int:
        """Number of requests that the worker has."""
        return len(self.assigned.keys() | set(self.status.working_request_idxs))

    @property
    def queue_time_s(self) -> float:
        """Seconds until the worker has finished all its requests."""
        return self.load / self.status.max_perf

    def is_ready(self, now: float, silence_s: float) -> bool:
        """Return whether the worker has reported a speed and no error, and has reported within `silence_s` seconds."""
        report = self.status
        is_recent = now - self.reported_at <= silence_s
        return report.loadtime > 0 and report.max_perf > 0 and not report.error_msg and is_recent

    def remove_stale_requests(self, now: float) -> None:
        """Stop counting requests that were assigned `FORGET_S` ago and that the worker never reported."""
        for request_idx, (_, assigned_at) in list(self.assigned.items()):
            if now - assigned_at >= FORGET_S:
                del self.assigned[request_idx]


class WorkerPool:
    """The workers by id. Times are those of one monotonic clock, which the caller passes."""

    def __init__(self) -> None:
        self.members: dict[int, PoolMember] = {}
        self.paused: set[int] = set()
        """Ids of workers that get no request."""
        self.reported = 0.0
        """Sum of the load that workers have reported as new or rejected, in units."""

    def report(self, status: StatusReport, now: float) -> None:
        """Store a worker's report. Requests that the report contains are part of its load, and not counted twice."""
        self.reported += status.new_load + status.rej_load
        member = self.members.setdefault(status.id, PoolMember(status, now))
        member.status, member.reported_at = status, now
        for request_idx in status.working_request_idxs:
            member.assigned.pop(request_idx, None)
        if member.requests:
            member.idle_since = None
        elif member.idle_since is None:
            member.idle_since = now

    def delete(self, request_idxs: Iterable[int]) -> None:
        """Stop counting requests as load of the workers that they were assigned to."""
        for request_idx in request_idxs:
            for member in self.members.values():
                member.assigned.pop(request_idx, None)

    def choose(self, now: float, silence_s: float, max_queue_time_s: float | None) -> PoolMember | None:
        """Return the ready worker that would finish first, or None when none is ready or all have too much work.

        Stale requests of the ready workers are removed before.
        """
        members = [member for number, member in self.members.items() if number not in self.paused]
        ready = [member for member in members if member.is_ready(now, silence_s)]
        for member in ready:
            member.remove_stale_requests(now)
        best = min(ready, key=lambda member: member.queue_time_s, default=None)
        if best is None:
            return None
        has_too_much_work = max_queue_time_s is not None and best.queue_time_s > max_queue_time_s
        return None if has_too_much_work else best

    def assign(self, member: PoolMember, request_idx: int, cost: float, now: float) -> int:
        """Assign a request to a worker and return its reqnum, which is unique for that worker."""
        member.assigned[request_idx] = (cost, now)
        member.idle_since = None
        member.reqnum += 1
        return member.reqnum

    def summary(self, now: float, silence_s: float) -> str:
        """Return the status text of a "not ready" response. The real wording is unknown."""
        ready = sum(member.is_ready(now, silence_s) for member in self.members.values())
        return f"total workers: {len(self.members)}, ready: {ready}"
