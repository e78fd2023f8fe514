"""The numbers that the SDK writes into and reports from, in the place of its own.

The SDK takes its counters as they are, sends them, and sets them to zero when the answer has come: what was counted
meanwhile is lost, and at a status endpoint that takes a second that is most of it (T18). These lose nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol


class MetricsEntry(Protocol):
    """The SDK's RequestMetrics. `status` is Success, Error, Cancelled or Rejected once it is over."""

    request_idx: int
    reqnum: int
    workload: float
    status: str
    success: bool
    entered_queue_at: float
    work_started_at: float
    work_completed_at: float


class RequestCounter:
    """Counts what it is given and keeps none of it; the SDK's own set of all request numbers never shrinks (T22)."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, _: int) -> None:
        self._count += 1

    def __len__(self) -> int:
        return self._count


RESET = ("workload_served", "workload_received", "workload_cancelled", "workload_errored", "workload_rejected")


@dataclass(slots=True)
class ModelMetrics:
    """Every attribute that the SDK's metrics use, by its names and in its units: workload, workload/s, epoch seconds.

    `more` is called when a report left something untold, `errored` with the SDK's words when it gives up for good,
    `reported` for each report: whether it was taken, the load in it, and the speed.
    """

    more: Callable[[], None]
    errored: Callable[[str], None]
    reported: Callable[[bool, float, float], None] = lambda *_: None
    workload_served: float = 0.0
    workload_received: float = 0.0
    workload_cancelled: float = 0.0
    workload_errored: float = 0.0
    workload_rejected: float = 0.0
    workload_pending: float = 0.0
    error_msg: str | None = None
    share: Callable[[], float] = lambda: 1.0
    """The part of the worker's engines that is alive, from 0 to 1."""
    leftover: Callable[[], float] = lambda: 0.0
    """Workload of requests that were answered while ComfyUI goes on with a node of them."""
    measured: float = 0.0
    """Speed of all its engines together."""
    requests_recieved: RequestCounter = field(default_factory=RequestCounter)
    requests_working: dict[int, MetricsEntry] = field(default_factory=dict)
    requests_deleting: list[MetricsEntry] = field(default_factory=list)
    last_update: float = field(default_factory=time.time)
    changed: bool = False
    """Something else is to be told; like the counts, it may have come while a report was on its way."""
    _told: dict[str, float] = field(default_factory=dict)
    """What the report on its way counts; empty where none is."""

    @property
    def workload_processing(self) -> float:
        """The first number that a report takes, and nothing is awaited until it has them all: they are noted here."""
        if self._told:
            self.reported(False, self.cur_load, self.max_throughput)  # the SDK says nothing of a report that failed
        self._told, self.changed = self._counted(), False
        return max(self.workload_received - self.workload_cancelled, 0.0)

    @property
    def cur_load(self) -> float:
        return sum(entry.workload for entry in self.requests_working.values()) + self.leftover()

    @property
    def max_throughput(self) -> float:
        """Speed of the engines that are alive: what the autoscaler is told as `max_perf`."""
        return self.measured * self.share()

    @max_throughput.setter
    def max_throughput(self, measured: float) -> None:
        self.measured = measured

    @property
    def wait_time(self) -> float:
        """Never asked for: the gateway has the queue."""
        return self.cur_load / max(self.max_throughput, 1e-5)

    @property
    def working_request_idxs(self) -> list[int]:
        return [entry.request_idx for entry in self.requests_working.values()]

    def reset(self) -> None:
        """A report was answered: take off what it told, and no more."""
        self.reported(True, self.cur_load, self.max_throughput)
        for name, told in self._told.items():
            setattr(self, name, getattr(self, name) - told)
        self._told = {}
        self.last_update = time.time()
        if self.changed or any(self._counted().values()):
            self.more()

    def set_errored(self, error_msg: str) -> None:
        self.error_msg = error_msg
        self.errored(error_msg)

    def _counted(self) -> dict[str, float]:
        return {name: getattr(self, name) for name in RESET}
