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
        """Count one request number."""
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
    alive_share: Callable[[], float] = lambda: 1.0
    """Returns the part of the worker's engines that is alive, from 0 to 1."""
    leftover_workload: Callable[[], float] = lambda: 0.0
    """Returns the workload of requests that have their response while ComfyUI still runs one of their nodes."""
    measured: float = 0.0
    """Speed of all engines of the worker together."""
    requests_recieved: RequestCounter = field(default_factory=RequestCounter)
    requests_working: dict[int, MetricsEntry] = field(default_factory=dict)
    requests_deleting: list[MetricsEntry] = field(default_factory=list)
    last_update: float = field(default_factory=time.time)
    changed: bool = False
    """Whether something besides the counters changed, possibly while a report was on its way."""
    _counters_in_report: dict[str, float] = field(default_factory=dict)
    """Counters in the report that is on its way; empty when there is none."""

    @property
    def workload_processing(self) -> float:
        """Workload that was received and not cancelled since the last report that was accepted.

        This is the first value that the SDK reads for a report, and it reads the others before it awaits anything. So
        the counters of the report are recorded here, to subtract them once the report is accepted.
        """
        if self._counters_in_report:
            self.on_report(False, self.cur_load, self.max_throughput)  # the report before this one failed
        self._counters_in_report, self.changed = self._counters(), False
        return max(self.workload_received - self.workload_cancelled, 0.0)

    @property
    def cur_load(self) -> float:
        """Workload of all requests that are not done, and of those whose node ComfyUI still runs."""
        return sum(entry.workload for entry in self.requests_working.values()) + self.leftover_workload()

    @property
    def max_throughput(self) -> float:
        """Speed of the engines that are alive, reported to the autoscaler as `max_perf`."""
        return self.measured * self.alive_share()

    @max_throughput.setter
    def max_throughput(self, measured: float) -> None:
        """Set the measured speed of all engines together. The SDK does this once it has read the score."""
        self.measured = measured

    @property
    def wait_time(self) -> float:
        """Seconds of waiting work. Nothing reads it, because the gateway has the queue."""
        return self.cur_load / max(self.max_throughput, 1e-5)

    @property
    def working_request_idxs(self) -> list[int]:
        """The router's numbers of the requests that are in work."""
        return [entry.request_idx for entry in self.requests_working.values()]

    def reset(self) -> None:
        """Subtract the counters of a report that was accepted, and request another report if anything has changed.

        The SDK calls this after each report that the autoscaler has accepted.
        """
        self.on_report(True, self.cur_load, self.max_throughput)
        for name, sent in self._counters_in_report.items():
            setattr(self, name, getattr(self, name) - sent)
        self._counters_in_report = {}
        self.last_update = time.time()
        if self.changed or any(self._counters().values()):
            self.report_again()

    def set_errored(self, error_msg: str) -> None:
        """Record the message with which the SDK gives up for good. The SDK calls this."""
        self.error_msg = error_msg
        self.on_error(error_msg)

    def _counters(self) -> dict[str, float]:
        """Return the counters that a report resets."""
        return {name: getattr(self, name) for name in RESET}
