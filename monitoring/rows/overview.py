"""The state of the fleet in one line."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, above, below, number
from monitoring.promql import added, per_minute, quantile, selector
from monitoring.rows.load import REPORTED_SECONDS
from monitoring.rows.traffic import FAILED_SHARE, LACKS_CAPACITY
from worker.observers import metric_specs as specs


def panels() -> Sequence[Panel]:
    """Return the panels."""
    return [*_workers(), *_clients()]


def _workers() -> Sequence[Panel]:
    """Return the numbers of workers and of their work."""
    return [
        number(
            "Workers ready",
            "Workers that can run a new job. If it is 0, clients get errors: see Engines and machine.",
            units.Short,
            added(specs.READY),
            below(1, 1),
        ),
        number(
            "Workers not ready",
            "Workers that cannot run a new job: they start, are full, or have lost ComfyUI. GET /ready of the worker "
            "returns the reason.",
            units.Short,
            f"count({selector(specs.READY)}) - {added(specs.READY)}",
            above(1, 3),
        ),
        number(
            "Jobs running",
            "Jobs that ComfyUI is running. If jobs wait while this is lower than the number of ready workers, they "
            "are being prepared, or are on other workers.",
            units.Short,
            added(specs.RUNNING),
        ),
        number(
            "Most work to do",
            "Seconds until the busiest worker has done its work, as the autoscaler sees it. If it stays high, more "
            "workers are needed.",
            units.Seconds,
            f"max({REPORTED_SECONDS})",
            above(60, 120),
        ),
    ]


def _clients() -> Sequence[Panel]:
    """Return the numbers that clients notice."""
    return [
        number(
            "Jobs per minute",
            "Jobs that ended, in any state. A sudden 0 during the day means that requests do not arrive: check the "
            "endpoint of the platform.",
            units.Short,
            per_minute(specs.JOBS),
        ),
        number(
            "Failed jobs",
            "Share of the jobs that failed. The row Traffic and outcomes shows the error codes.",
            units.PercentUnit,
            FAILED_SHARE,
            above(0.05, 0.1),
        ),
        number(
            "Wait, p95",
            "Time until ComfyUI starts a job, for the slowest twentieth. See Waits and stages.",
            units.Seconds,
            quantile(0.95, specs.JOB_QUEUE),
            above(60, 120),
        ),
        number(
            "Rejected per minute",
            "Requests that were rejected because no worker had capacity. See Load and autoscaler.",
            units.Short,
            f"{per_minute(specs.REFUSED, where=LACKS_CAPACITY)} or vector(0)",
            above(1, 10),
        ),
    ]
