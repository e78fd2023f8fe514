"""What the workers report to the platform's autoscaler."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, above, graph, query
from monitoring.promql import added, highest, per_minute, quantile, selector
from monitoring.rows.traffic import LACKS_CAPACITY
from worker.observers import metric_specs as specs

REPORTED_SECONDS = f"{selector(specs.REPORTED_LOAD)} / ({selector(specs.MAX_PERF)} > 0)"
"""The autoscaler computes the same quotient."""


def panels() -> Sequence[Panel]:
    """Return the panels."""
    return [*_reports(), *_worker()]


def _reports() -> Sequence[Panel]:
    """Return the panels about reports."""
    return [
        graph(
            "Seconds of work to do, as reported",
            "Reported load divided by reported speed, per worker. The autoscaler balances and scales on this. It "
            "should follow the graph of predicted seconds. If it stays high while the worker has no job, restart the "
            "worker and report a bug.",
            units.Seconds,
            query(REPORTED_SECONDS, "{{instance}}"),
            limits=above(60, 120),
        ),
        graph(
            "Reported speed",
            "max_perf in units per second. Workers with the same GPU should be close together. One far below is slow: "
            "see GPU and Slower than its GPU class.",
            units.Short,
            query(highest(specs.MAX_PERF, "instance"), "{{instance}}"),
        ),
        graph(
            "Reports per minute, by result",
            "A report is sent every 10 s, and soon after each change. If failed is not 0, the autoscaler does not know "
            "the load: check the network of the worker and the status of the platform.",
            units.CountsPerMinute,
            query(per_minute(specs.REPORTS, "result"), "{{result}}"),
        ),
    ]


def _worker() -> Sequence[Panel]:
    """Return the panels about the worker's own view."""
    return [
        graph(
            "Seconds of work to do, as predicted",
            "The worker's own estimate until all its jobs have run. Requests get 429 above WORKER_MAX_WAIT (600 s).",
            units.Seconds,
            query(highest(specs.QUEUE_WORK, "instance"), "{{instance}}"),
            limits=above(60, 300),
        ),
        graph(
            "Load, in units",
            "Work of all jobs that have not ended, and what was reported of it. One unit is one second on an RTX 4090.",
            units.Short,
            query(added(specs.LOAD), "accepted"),
            query(added(specs.REPORTED_LOAD), "reported"),
        ),
        graph(
            "Requests rejected for lack of capacity, per minute",
            "Each of these requests has to go to another worker, or to be sent again. If they persist, raise "
            "max_workers or the price limit of the fleet.",
            units.CountsPerMinute,
            query(per_minute(specs.REFUSED, "instance", where=LACKS_CAPACITY), "{{instance}}"),
            limits=above(1, 10),
        ),
        graph(
            "Cost that clients tell the router, divided by the workload",
            "Only of requests whose cost differs. 4 stands for 4 and more. Far from 1, the router sends them to the "
            "wrong workers. Clients should compute it, or take the workload of POST /validate.",
            units.NoUnit,
            query(quantile(0.1, specs.CLIENT_COST), "p10"),
            query(quantile(0.5, specs.CLIENT_COST), "median"),
            query(quantile(0.9, specs.CLIENT_COST), "p90"),
        ),
    ]
