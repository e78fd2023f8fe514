"""Requests on their way to a worker: the answers of `POST /route/`, signature aside."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable

from worker.simulators.vast_router.fault_config import RouterFaultConfig
from worker.simulators.vast_router.report_log import ReportLog
from worker.simulators.vast_router.worker_pool import PoolMember, WorkerPool

REMEMBERED = 10_000


class Router:
    """Numbers the requests and finds a worker for each. A poll or a retry comes with the number it was given."""

    def __init__(self, endpoint: str, record: ReportLog) -> None:
        self.fleet = WorkerPool()
        self._endpoint = endpoint
        self._record = record
        self._next = 0
        self._asked: OrderedDict[int, int] = OrderedDict()
        """request_idx -> how often it has asked for a worker."""

    def route(self, request_idx: int, cost: float, now: float, fault_config: RouterFaultConfig) -> dict[str, object]:
        """Answer with `url` and the request's number at that worker, or "not ready". `request_idx` 0 is a new one."""
        request_idx = request_idx or self._number()
        self.fleet.delete([request_idx])  # asked again: wherever it was sent before, it isn't there any more
        asked = self._asked[request_idx] = self._asked.get(request_idx, 0) + 1
        while len(self._asked) > REMEMBERED:
            self._asked.popitem(last=False)
        member = None
        if asked > fault_config.not_ready_answers:
            member = self.fleet.choose(now, fault_config.silence_s, fault_config.max_queue_time_s)
        answer: dict[str, object] = {
            "endpoint": self._endpoint,
            "request_idx": request_idx,
            "__request_id": secrets.token_hex(8),
        }
        if member is None:
            return answer | {"status": self.fleet.summary(now, fault_config.silence_s)}
        reqnum = self.fleet.assign(member, request_idx, cost, now)
        self._record.add((request_idx, member.status.id))
        return answer | {"url": member.status.url, "cost": cost, "reqnum": reqnum}

    def delete(self, request_idxs: Iterable[int]) -> None:
        done = list(request_idxs)
        self.fleet.delete(done)
        for request_idx in done:
            self._asked.pop(request_idx, None)

    def workers(self, now: float, silence_s: float) -> list[dict[str, object]]:
        """What `POST /get_endpoint_workers/` lists."""
        return [_row(member, now, silence_s) for member in self.fleet.members.values()]

    def _number(self) -> int:
        self._next += 1
        return self._next


def _row(member: PoolMember, now: float, silence_s: float) -> dict[str, object]:
    said = member.status
    state = "idle" if member.ready(now, silence_s) else "error" if said.error_msg else "model_loading"
    return {
        "id": said.id,
        "status": state,
        "cur_load": said.cur_load,
        "new_load": said.new_load,
        "cur_perf": said.cur_perf,
        "perf": said.max_perf,
        "measured_perf": said.max_perf,
        "reqs_working": len(said.working_request_idxs),
        "loaded_at": said.loadtime,
    }
