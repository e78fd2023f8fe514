"""Metrics that replace the SDK's own: the SDK counts in them and reports from them.

The SDK sends its own counters and sets them to zero when the response arrives, so everything that was counted in
between is lost. With a status endpoint that takes a second, that is most of it (T18). These counters lose nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class MetricsEntry(Protocol):
    """The SDK's RequestMetrics. `status` is Success, Error, Cancelled or Rejected once the request is done."""

    request_idx: int
    reqnum: int
    workload: float
    status: str
    success: bool
    entered_queue_at: float
    work_started_at: float
    work_completed_at: float


class RequestCounter:
    """Counts request numbers without storing them. It replaces the SDK's set, which never shrinks (T22)."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, _: int) -> None:
        self._count += 1

    def __len__(self) -> int:
        return self._count


RESET = ("workload_served", "workload_received", "workload_cancelled", "workload_errored", "workload_rejected")


@dataclass(slots=True)
class ModelMetrics:
    """All attributes that the SDK's metrics use, with its names and units: workload, workload/s, epoch seconds.

    `report_again` is called when something changed during a report. `on_error` is called with the SDK's message when it
    gives up for good. `on_report` is called for each report, with whether it was accepted, its load and its speed.
    """

    report_again: Callable[[], None]
    on_error: Callable[[str], None]
    on_report: Callable[[bool, float, float], None] = lambda *_: None
    workload_served: float = 0.0
    workload_received: float = 0.0
    workload_cancelled: float = 0.0
    workload_errored: float = 0.0
    workload_rejected: float = 0.0
    workload_pending: float = 0.0
    error_msg: str | None = None
    share: Callable[[], float] = lambda: 1.0
    """Returns the part of the worker's engines that is alive, from 0 to 1."""
    leftover: Callable[[], float] = lambda: 0.0
    """Returns the workload of requests that have their response while ComfyUI still runs one of their nodes."""
    measured: float = 0.0
    """Speed of all engines of the worker together."""
    requests_recieved: RequestCounter = field(default_factory=RequestCounter)
    requests_working: dict[int, MetricsEntry] = field(default_factory=dict)
    requests_deleting: list[MetricsEntry] = field(default_factory=list)
    last_update: float = field(default_factory=time.time)
    changed: bool = False
    """Whether something besides the counters changed, possibly while a report was on its way."""
    _sent: dict[str, float] = field(default_factory=dict)
    """Counters in the report that is on its way; empty when there is none."""

    @property
    def workload_processing(self) -> float:
        """The first value that a report reads. All counters are recorded here, because no await comes in between."""
        if self._sent:
            self.on_report(False, self.cur_load, self.max_throughput)  # a report failed
        self._sent, self.changed = self._counted(), False
        return max(self.workload_received - self.workload_cancelled, 0.0)

    @property
    def cur_load(self) -> float:
        """Workload of all requests that are not done."""
        return sum(entry.workload for entry in self.requests_working.values()) + self.leftover()

    @property
    def max_throughput(self) -> float:
        """Speed of the engines that are alive, reported to the autoscaler as `max_perf`."""
        return self.measured * self.share()

    @max_throughput.setter
    def max_throughput(self, measured: float) -> None:
        self.measured = measured

    @property
    def wait_time(self) -> float:
        """Seconds of waiting work. Nothing reads it, because the gateway has the queue."""
        return self.cur_load / max(self.max_throughput, 1e-5)

    @property
    def working_request_idxs(self) -> list[int]:
        return [entry.request_idx for entry in self.requests_working.values()]

    def reset(self) -> None:
        """Subtract the counters of a report that was accepted. The SDK calls this."""
        self.on_report(True, self.cur_load, self.max_throughput)
        for name, sent in self._sent.items():
            setattr(self, name, getattr(self, name) - sent)
        self._sent = {}
        self.last_update = time.time()
        if self.changed or any(self._counted().values()):
            self.report_again()

    def set_errored(self, error_msg: str) -> None:
        """Record that the SDK gives up. The SDK calls this."""
        self.error_msg = error_msg
        self.on_error(error_msg)

    def _counted(self) -> dict[str, float]:
        """Return the counters that a report resets."""
        return {name: getattr(self, name) for name in RESET}
