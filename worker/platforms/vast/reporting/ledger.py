"""Corrects what the SDK reports to the autoscaler: it counts every response as served, and no job after a 202."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from worker.platforms.vast.ingress.signature_check import AuthData
from worker.platforms.vast.reporting.metrics import ModelMetrics
from worker.platforms.vast.reporting.new_work import MetricsEntry


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
        """Report a request that was rejected for lack of capacity, so that the autoscaler adds workers."""
        self._metrics.model_metrics.workload_rejected += workload
        self._add_deletion(auth_data, workload, "Rejected")

    def record_done(self, auth_data: AuthData) -> None:
        """Report a request that started no job as done, because the router might otherwise count it forever."""
        self._add_deletion(auth_data, 0.0, "Success")

    def discount(self, workload: float, *, rejected: bool = False) -> None:
        """Subtract a workload that was not served, or not yet. Call it just before the SDK counts it as served.

        With `rejected`, the workload is counted as rejected.
        """
        metrics = self._metrics.model_metrics
        metrics.workload_served -= workload
        if rejected:
            metrics.workload_rejected += workload

    def mark_rejected(self, auth_data: AuthData) -> None:
        """Mark a request as rejected because the queue was full. Call it just after the SDK has added its deletion."""
        entry = self._newest_deletion(auth_data)
        if entry:
            entry.status, entry.success = "Rejected", False

    def hold(self, auth_data: AuthData) -> MetricsEntry | None:
        """Move a request from the deletions back to the running ones, because its job continues and counts as load.

        Return its entry for `release`, or None when the request is not among the deletions.
        """
        metrics = self._metrics.model_metrics
        entry = self._newest_deletion(auth_data)
        if entry:
            metrics.requests_deleting.remove(entry)
            entry.status, entry.success = "Started", False
            metrics.requests_working.restore(entry)
            self.report_soon()
        return entry

    def carry(self, auth_data: AuthData, workload: float) -> None:
        """Count the units of a job for a request that had none, because the equal one before it started no job."""
        metrics = self._metrics.model_metrics
        numbers = (auth_data.request_idx, auth_data.reqnum)
        for entry in metrics.requests_working.values():
            if (entry.request_idx, entry.reqnum) == numbers:
                entry.workload = workload
                metrics.new_work.add(entry)

    def release(self, entry: MetricsEntry, *, served: bool, has_left: bool = False) -> None:
        """Report a request that was held as done, because its job has ended.

        `served` is True if the job completed, and `has_left` if the client had disconnected before.
        """
        metrics = self._metrics.model_metrics
        if metrics.requests_working.has(entry):
            del metrics.requests_working[entry.reqnum]
        if served:
            metrics.workload_served += entry.workload
        else:
            metrics.new_work.withdraw(entry)
        # Success also if the job failed: the request got its response, and only `workload_served` counts work.
        entry.status = "Cancelled" if has_left and not served else "Success"
        entry.success, entry.work_completed_at = True, time.time()
        metrics.requests_deleting.append(entry)
        self.report_soon()

    def report_soon(self) -> None:
        """Make the SDK send its report within one second instead of ten.

        If a report is being sent, the SDK clears `update_pending` after it. `changed` requests another report then.
        """
        self._metrics.update_pending = self._metrics.model_metrics.changed = True

    def take_deletions(self) -> list[dict[str, object]]:
        """Remove and return the deletions (requests that are done) that the SDK has not sent yet.

        They are rows of the autoscaler's `POST /delete_requests/`.
        """
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

    def _newest_deletion(self, auth_data: AuthData) -> MetricsEntry | None:
        """Return the newest deletion of this request, or None. The SDK appends new ones at the end."""
        numbers = (auth_data.request_idx, auth_data.reqnum)
        newest_first = reversed(self._metrics.model_metrics.requests_deleting)
        return next((entry for entry in newest_first if (entry.request_idx, entry.reqnum) == numbers), None)

    def _add_deletion(self, auth_data: AuthData, workload: float, status: str) -> None:
        """Report a request that the SDK has not handled as done, with this status."""
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
