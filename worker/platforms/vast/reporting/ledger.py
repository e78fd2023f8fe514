"""Corrects what the SDK reports to the autoscaler: it counts every response as served, and no job after a 202."""

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
    """Corrects the SDK's metrics. Every method is synchronous, so that no report is sent during a correction."""

    def __init__(self, metrics: BackendMetrics, new_entry: Callable[..., MetricsEntry]) -> None:
        self._metrics = metrics
        self._new_entry = new_entry

    def record_rejected(self, auth_data: AuthData, workload: float) -> None:
        """Count work that this worker rejected for lack of capacity, so that the autoscaler finds more workers."""
        self._metrics.model_metrics.workload_rejected += workload
        self._close(auth_data, workload, "Rejected")

    def close(self, auth_data: AuthData) -> None:
        """Report a request that was not a job as done; otherwise the router might count it forever."""
        self._close(auth_data, 0.0, "Success")

    def discount(self, workload: float, *, rejected: bool = False) -> None:
        """Subtract a workload that was not served, or not yet. Call it just before the SDK counts it as served."""
        metrics = self._metrics.model_metrics
        metrics.workload_served -= workload
        if rejected:
            metrics.workload_received -= workload
            metrics.workload_rejected += workload

    def mark_rejected(self, auth_data: AuthData) -> None:
        """Mark a deletion as rejected because the queue was full. Call it just after the SDK has added the deletion."""
        if entry := self._deletion(auth_data):
            entry.status, entry.success = "Rejected", False

    def hold(self, auth_data: AuthData) -> MetricsEntry | None:
        """Take a request back from the deletions, because its job goes on and still counts as load.

        Return its entry, or None when there is none.
        """
        metrics = self._metrics.model_metrics
        entry = self._deletion(auth_data)
        if entry:
            metrics.requests_deleting.remove(entry)
            entry.status, entry.success = "Started", False
            metrics.requests_working[entry.reqnum] = entry
            self.report_soon()
        return entry

    def release(self, entry: MetricsEntry, *, served: bool) -> None:
        """Report a held request as done, because its job has ended. `served` is True if the job completed."""
        metrics = self._metrics.model_metrics
        if metrics.requests_working.get(entry.reqnum) is entry:
            del metrics.requests_working[entry.reqnum]
        if served:
            metrics.workload_served += entry.workload
        entry.status, entry.success, entry.work_completed_at = "Success", True, time.time()
        metrics.requests_deleting.append(entry)
        self.report_soon()

    def report_soon(self) -> None:
        """Make the SDK send its report within one second instead of ten.

        `changed` repeats this after a report that is on its way, because the SDK would forget it then.
        """
        self._metrics.update_pending = self._metrics.model_metrics.changed = True

    def take_deletions(self) -> list[dict[str, object]]:
        """Remove and return the deletions that the SDK has not sent yet, as rows of `POST /delete_requests/`."""
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

    def _deletion(self, auth_data: AuthData) -> MetricsEntry | None:
        """Return the newest deletion of this request."""
        number = (auth_data.request_idx, auth_data.reqnum)
        entries = reversed(self._metrics.model_metrics.requests_deleting)
        return next((entry for entry in entries if (entry.request_idx, entry.reqnum) == number), None)

    def _close(self, auth_data: AuthData, workload: float, status: str) -> None:
        """Add a deletion for a request that the SDK does not know."""
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
