"""Metrics that replace the SDK's own: the SDK counts in them and reports from them.

The SDK sends its own counters and sets them to zero when the response arrives, so everything that was counted in
between is lost. With a status endpoint that takes a second, that is most of it (T18). These counters lose nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from worker.platforms.vast.reporting.new_work import MetricsEntry, NewWork


class RequestCounter:
    """Counts request numbers without storing them. It replaces the SDK's set, which never shrinks (T22)."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, _: int) -> None:
        """Count one request number."""
        self._count += 1

    def __len__(self) -> int:
        return self._count


class WorkingRequests(dict[int, MetricsEntry]):
    """The requests that are not done, by their number at this worker. New ones are reported to `new_work`.

    The SDK adds a request when it arrives, and removes it when it is done.
    """

    def __init__(self, new_work: NewWork) -> None:
        super().__init__()
        self._new_work = new_work

    def __setitem__(self, reqnum: int, entry: MetricsEntry) -> None:
        self._new_work.add(entry)
        super().__setitem__(reqnum, entry)

    def restore(self, entry: MetricsEntry) -> None:
        """Add a request again that was removed, because its job continues. Its work has been counted already."""
        super().__setitem__(entry.reqnum, entry)

    def has(self, entry: MetricsEntry) -> bool:
        """Return whether a request is not done."""
        return self.get(entry.reqnum) is entry


class LoadSource(Protocol):
    """The load and the speed that are reported, in units and units a second."""

    @property
    def cur_load(self) -> float: ...

    @property
    def max_perf(self) -> float: ...


RESET = ("workload_served", "workload_rejected", "workload_new")
"""Counters in a report, which are reduced by what it contained once it was accepted."""


@dataclass(slots=True)
class ModelMetrics:
    """All attributes that the SDK's metrics use, with its names and units: units, units a second, epoch seconds.

    `report_again` is called when something changed during a report. `on_error` is called with the SDK's message when it
    gives up for good. `on_report` is called for each report, with whether it was accepted, its load and its speed.
    """

    load: LoadSource
    report_again: Callable[[], None]
    on_error: Callable[[str], None]
    on_report: Callable[[bool, float, float], None] = lambda *_: None
    new_work: NewWork = field(default_factory=NewWork)
    workload_served: float = 0.0
    workload_rejected: float = 0.0
    workload_new: float = 0.0
    """Units of the requests that have arrived, as far as `new_work` has counted them. The SDK does not have it."""
    workload_received: float = 0.0
    workload_cancelled: float = 0.0
    workload_errored: float = 0.0
    workload_pending: float = 0.0
    """The SDK counts in these four, and nothing reads them."""
    error_msg: str | None = None
    loaded: bool = False
    """Whether the SDK has read the score. Until then it reports no speed."""
    requests_recieved: RequestCounter = field(default_factory=RequestCounter)
    requests_working: WorkingRequests = field(init=False)
    requests_deleting: list[MetricsEntry] = field(default_factory=list)
    last_update: float = field(default_factory=time.time)
    changed: bool = False
    """Whether something besides the counters changed, possibly while a report was on its way."""
    reported: tuple[float, float] = (0.0, 0.0)
    """Load and speed in the last report."""
    _counters_in_report: dict[str, float] = field(default_factory=dict)
    """Counters in the report that is on its way; empty when there is none."""

    def __post_init__(self) -> None:
        self.requests_working = WorkingRequests(self.new_work)

    @property
    def workload_processing(self) -> float:
        """Units that have arrived since the last report that was accepted, without requests that were cancelled before.

        This is the first value that the SDK reads for a report, and it reads the others before it awaits anything. So
        the counters of the report are recorded here, to subtract them once the report is accepted.
        """
        if self._counters_in_report:
            self.on_report(False, *self.reported)  # the report before this one failed
        self.workload_new += self.new_work.take(self.requests_working.has)
        self._counters_in_report, self.changed = self._counters(), False
        self.reported = self.cur_load, self.max_throughput
        return self.workload_new

    @property
    def cur_load(self) -> float:
        """Units that are still to do: their seconds here, times the speed of the engines."""
        return self.load.cur_load

    @property
    def max_throughput(self) -> float:
        """Speed of the engines that are alive, reported to the autoscaler as `max_perf`."""
        return self.load.max_perf if self.loaded else 0.0

    @max_throughput.setter
    def max_throughput(self, score: float) -> None:
        """Report the speed from now on. The SDK sets it once it has read the score."""
        self.loaded = score > 0

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
        self.on_report(True, *self.reported)
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
