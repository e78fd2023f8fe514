"""What the SDK tells the autoscaler, put right: it counts every answer as served, and knows no job behind a 202."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from worker.platforms.vast.ingress.signature_check import AuthData
from worker.platforms.vast.reporting.metrics import MetricsEntry, ModelMetrics


class BackendMetrics(Protocol):
    """The SDK's `worker.backend.metrics`: public attributes of a public object."""

    update_pending: bool
    model_metrics: ModelMetrics


class Ledger:
    """Every method is synchronous: the SDK sends its reports between two steps of the event loop."""

    def __init__(self, metrics: BackendMetrics, new_entry: Callable[..., MetricsEntry]) -> None:
        self._metrics = metrics
        self._new_entry = new_entry

    def refuse(self, auth_data: AuthData, workload: float) -> None:
        """Work that this worker can't take now: the autoscaler should find more workers."""
        self._metrics.model_metrics.workload_rejected += workload
        self._close(auth_data, workload, "Rejected")

    def close(self, auth_data: AuthData) -> None:
        """A request that was no work: without this the router might count it for ever."""
        self._close(auth_data, 0.0, "Success")

    def discount(self, workload: float, *, rejected: bool = False) -> None:
        """Call just before the SDK adds `workload` to what was served: it wasn't, or isn't yet."""
        metrics = self._metrics.model_metrics
        metrics.workload_served -= workload
        if rejected:
            metrics.workload_received -= workload
            metrics.workload_rejected += workload

    def rejected(self, auth_data: AuthData) -> None:
        """Call just after the SDK has put the request among the deletions: the gateway had no room for it."""
        if entry := self._ended(auth_data):
            entry.status, entry.success = "Rejected", False

    def hold(self, auth_data: AuthData) -> MetricsEntry | None:
        """The request was answered, its job goes on: take it back from the deletions, so that it stays in the load."""
        metrics = self._metrics.model_metrics
        entry = self._ended(auth_data)
        if entry:
            metrics.requests_deleting.remove(entry)
            entry.status, entry.success = "Started", False
            metrics.requests_working[entry.reqnum] = entry
            self.report_soon()
        return entry

    def release(self, entry: MetricsEntry, *, served: bool) -> None:
        """The job behind a held request has ended."""
        metrics = self._metrics.model_metrics
        if metrics.requests_working.get(entry.reqnum) is entry:
            del metrics.requests_working[entry.reqnum]
        if served:
            metrics.workload_served += entry.workload
        entry.status, entry.success, entry.work_completed_at = "Success", True, time.time()
        metrics.requests_deleting.append(entry)
        self.report_soon()

    def report_soon(self) -> None:
        """Within a second instead of ten. The SDK forgets that it was asked to, if a report is just on its way."""
        self._metrics.update_pending = self._metrics.model_metrics.changed = True

    def take_deletions(self) -> list[dict[str, object]]:
        """What the SDK has not sent yet, as rows of `POST /delete_requests/`."""
        entries = self._metrics.model_metrics.requests_deleting
        rows: list[dict[str, object]] = [
            {
                "request_idx": entry.request_idx,
                "success": entry.success,
                "status": entry.status,
                "entered_queue_at": entry.entered_queue_at,
                "work_started_at": entry.work_started_at,
                "work_completed_at": entry.work_completed_at,
            }
            for entry in entries
        ]
        entries.clear()
        return rows

    def _ended(self, auth_data: AuthData) -> MetricsEntry | None:
        """The newest deletion of this request."""
        number = (auth_data.request_idx, auth_data.reqnum)
        entries = reversed(self._metrics.model_metrics.requests_deleting)
        return next((entry for entry in entries if (entry.request_idx, entry.reqnum) == number), None)

    def _close(self, auth_data: AuthData, workload: float, status: str) -> None:
        entry = self._new_entry(
            request_idx=auth_data.request_idx,
            reqnum=auth_data.reqnum,
            workload=workload,
            status=status,
            success=status == "Success",
            entered_queue_at=time.time(),
        )
        self._metrics.model_metrics.requests_deleting.append(entry)
        self.report_soon()
