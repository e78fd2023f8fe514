"""What is known of the workers, and who gets the next request. No I/O, no clock of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from worker.simulators.vast_router.report_log import StatusReport

FORGET_S = 60.0
"""An assignment that the worker never mentions stops counting; the client sends the same time as `replay_timeout`."""


@dataclass(slots=True)
class PoolMember:
    """One worker: its last report, and what it was given since."""

    status: StatusReport
    reported_at: float
    assigned: dict[int, tuple[float, float]] = field(default_factory=dict)
    """request_idx -> (cost, when), until the worker itself counts the request."""
    reqnum: int = 0

    @property
    def load(self) -> float:
        return self.status.cur_load + sum(cost for cost, _ in self.assigned.values())

    @property
    def queue_time_s(self) -> float:
        return self.load / self.status.max_perf

    def ready(self, now: float, silence_s: float) -> bool:
        """Loaded, measured, not in error, heard of lately."""
        said = self.status
        return said.loadtime > 0 and said.max_perf > 0 and not said.error_msg and now - self.reported_at <= silence_s


class WorkerPool:
    """Least-loaded ready worker first. Times are of one monotonic clock, given by the caller."""

    def __init__(self) -> None:
        self.members: dict[int, PoolMember] = {}

    def report(self, status: StatusReport, now: float) -> None:
        """A worker said where it stands; what it counts itself is no longer counted here."""
        member = self.members.setdefault(status.id, PoolMember(status, now))
        member.status, member.reported_at = status, now
        for request_idx in status.working_request_idxs:
            member.assigned.pop(request_idx, None)

    def delete(self, request_idxs: Iterable[int]) -> None:
        for request_idx in request_idxs:
            for member in self.members.values():
                member.assigned.pop(request_idx, None)

    def choose(self, now: float, silence_s: float, max_queue_time_s: float | None) -> PoolMember | None:
        """The worker that would be done first, or None: nobody is ready, or everybody has too much ahead."""
        ready = [member for member in self.members.values() if member.ready(now, silence_s)]
        for member in ready:
            member.assigned = {idx: given for idx, given in member.assigned.items() if now - given[1] < FORGET_S}
        best = min(ready, key=lambda member: member.queue_time_s, default=None)
        if best is None or (max_queue_time_s is not None and best.queue_time_s > max_queue_time_s):
            return None
        return best

    def assign(self, member: PoolMember, request_idx: int, cost: float, now: float) -> int:
        """Count the request until the worker does; its reqnum, unique per worker."""
        member.assigned[request_idx] = (cost, now)
        member.reqnum += 1
        return member.reqnum

    def summary(self, now: float, silence_s: float) -> str:
        """What "not ready" says. The real wording is unknown."""
        ready = sum(member.ready(now, silence_s) for member in self.members.values())
        return f"total workers: {len(self.members)}, ready: {ready}"
