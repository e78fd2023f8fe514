"""Assigns requests to workers: the responses of `POST /route/`, without the signature."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable

from worker.simulators.vast_router.fault_config import RouterFaultConfig
from worker.simulators.vast_router.report_log import ReportLog
from worker.simulators.vast_router.waiting_requests import WaitingRequests
from worker.simulators.vast_router.worker_pool import PoolMember, WorkerPool

REMEMBERED = 10_000


class Router:
    """Numbers the requests and chooses a worker for each. A poll or a retry carries the number of the first try."""

    def __init__(self, endpoint: str, record: ReportLog) -> None:
        self.fleet = WorkerPool()
        self.waiting = WaitingRequests()
        self._endpoint = endpoint
        self._record = record
        self._next = 0
        self._polls: OrderedDict[int, int] = OrderedDict()
        """Number of polls of each request_idx."""

    def route(self, request_idx: int, cost: float, now: float, fault_config: RouterFaultConfig) -> dict[str, object]:
        """Assign a request to a worker. Return the worker's `url` and the request's number there, as `reqnum`.

        Return a "not ready" `status` instead when no worker can be chosen. `request_idx` is 0 for a new request, and
        the number of the first try for a poll or a retry.
        """
        request_idx = request_idx or self._next_number()
        self.fleet.delete([request_idx])  # a client that polls again has left the worker that it was assigned to
        polls = self._polls.get(request_idx, 0) + 1
        self._polls[request_idx] = polls
        while len(self._polls) > REMEMBERED:
            self._polls.popitem(last=False)
        member = None
        if polls > fault_config.not_ready_answers:
            member = self._choose(request_idx, now, fault_config)
        response: dict[str, object] = {
            "endpoint": self._endpoint,
            "request_idx": request_idx,
            "__request_id": secrets.token_hex(8),
        }
        if member is None:
            self.waiting.add(request_idx, cost, now)
            return response | {"status": self.fleet.summary(now, fault_config.silence_s)}
        self.waiting.remove(request_idx)
        reqnum = self.fleet.assign(member, request_idx, cost, now)
        self._record.add((request_idx, member.status.id))
        return response | {"url": member.status.url, "cost": cost, "reqnum": reqnum}

    def delete(self, request_idxs: Iterable[int]) -> None:
        """Remove requests that are done: they no longer count as load, and their polls are no longer counted."""
        done_idxs = list(request_idxs)
        self.fleet.delete(done_idxs)
        for request_idx in done_idxs:
            self._polls.pop(request_idx, None)
            self.waiting.remove(request_idx)

    def can_assign(self, request_idx: int, now: float, fault_config: RouterFaultConfig) -> bool:
        """Return whether there is a worker for a waiting request, and no other one that is held comes first."""
        return self._choose(request_idx, now, fault_config) is not None

    def _choose(self, request_idx: int, now: float, fault_config: RouterFaultConfig) -> PoolMember | None:
        """Return the worker for a request, or None when it has to wait."""
        if not self.waiting.is_first(request_idx, now):
            return None
        return self.fleet.choose(now, fault_config.silence_s, fault_config.max_queue_time_s)

    def pause(self, worker_id: int) -> None:
        """Give a worker no more requests. Those that it has are not affected."""
        self.fleet.paused.add(worker_id)

    def resume(self, worker_id: int) -> None:
        """Give a worker requests again."""
        self.fleet.paused.discard(worker_id)
        self._record.add()  # the requests that wait can be assigned now

    def remove(self, worker_id: int) -> None:
        """Remove a worker that has ended. A late report of it does not bring it back: `resume` does."""
        self.fleet.members.pop(worker_id, None)
        self.fleet.paused.add(worker_id)

    def workers(self, now: float, silence_s: float) -> list[dict[str, object]]:
        """Return the rows of `POST /get_endpoint_workers/`."""
        return [_row(member, now, silence_s) for member in self.fleet.members.values()]

    def _next_number(self) -> int:
        """Return a new request_idx."""
        self._next += 1
        return self._next


def _row(member: PoolMember, now: float, silence_s: float) -> dict[str, object]:
    """Return the row of one worker."""
    report = member.status
    status = "error" if report.error_msg else "model_loading"
    if member.is_ready(now, silence_s):
        status = "idle"
    return {
        "id": report.id,
        "status": status,
        "cur_load": report.cur_load,
        "new_load": report.new_load,
        "cur_perf": report.cur_perf,
        "perf": report.max_perf,
        "measured_perf": report.max_perf,
        "reqs_working": len(report.working_request_idxs),
        "loaded_at": report.loadtime,
    }
