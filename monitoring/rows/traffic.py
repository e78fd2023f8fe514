"""What comes in, and how it ends."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, above, graph, query, stacked
from monitoring.promql import added, per_minute, rate
from worker.observers import metric_specs as specs

LACKS_CAPACITY = 'code=~"queue_full|engine_unavailable|models_coming|draining|disk_full|cache_full|exhausted"'
"""Errors that another worker would not have returned."""
FAILED = 'state="failed"'
FAILED_SHARE = f"({rate(specs.JOBS, where=FAILED)} or vector(0)) / {rate(specs.JOBS)}"


def panels() -> Sequence[Panel]:
    """Return the panels."""
    return [*_jobs(), *_requests()]


def _jobs() -> Sequence[Panel]:
    """Return the panels about jobs."""
    return [
        stacked(
            graph(
                "Ended jobs per minute, by state",
                "Jobs that ended. delivery_pending are jobs whose files could not be delivered yet: see Deliveries. "
                "cancelled are mostly clients that hang up, which they do when waits are long.",
                units.CountsPerMinute,
                query(per_minute(specs.JOBS, "state"), "{{state}}"),
            )
        ),
        graph(
            "Failed jobs per minute, by code",
            "docs/troubleshooting.md has an entry for each code. node_failed is the workflow of the client. "
            "out_of_memory, gpu_failed and model_damaged are the machine: if only one worker has them, replace it.",
            units.CountsPerMinute,
            query(per_minute(specs.JOBS, "code", where='code!=""'), "{{code}}"),
        ),
        graph(
            "Share of jobs that fail",
            "If all workers fail, suspect a workflow, a release or a bucket. If one does, suspect its machine.",
            units.PercentUnit,
            query(FAILED_SHARE, "all workers"),
            query(
                f"{rate(specs.JOBS, 'instance', where=FAILED)} / {rate(specs.JOBS, 'instance')}",
                "{{instance}}",
            ),
            limits=above(0.05, 0.1),
        ).max(1),
        stacked(
            graph(
                "Jobs now, by stage",
                "Jobs that wait while few run mean that too few workers are ready. Jobs that pile up in delivering "
                "mean a slow bucket or slow clients.",
                units.Short,
                query(added(specs.RUNNING), "running"),
                query(added(specs.WAITING), "waiting"),
                query(added(specs.DELIVERING), "delivering"),
            )
        ),
    ]


def _requests() -> Sequence[Panel]:
    """Return the panels about requests and deliveries."""
    return [
        graph(
            "Error responses per minute, by code",
            "Requests that got an error. queue_full is lack of capacity: add workers or raise WORKER_MAX_QUEUE. "
            "invalid_workflow and other 4xx are clients. docs/troubleshooting.md explains each code.",
            units.CountsPerMinute,
            query(per_minute(specs.REFUSED, "code"), "{{code}}"),
        ),
        graph(
            "Deliveries and webhooks per minute",
            "A delivery with a code has failed. The job keeps its files: POST /jobs/{id}/deliver sends them again. "
            "Webhooks that are not accepted are sent again with pauses.",
            units.CountsPerMinute,
            query(per_minute(specs.DELIVERIES, "way", "code"), "{{way}} {{code}}"),
            query(per_minute(specs.WEBHOOKS, "outcome"), "webhook {{outcome}}"),
        ),
    ]
