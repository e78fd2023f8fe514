"""What a job costs, in dollars, in time of GPUs and in energy."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, graph, query
from monitoring.promql import added, rate
from worker.observers import metric_specs as specs


def panels() -> Sequence[Panel]:
    """Return the panels."""
    busy, idle = rate(specs.BUSY), rate(specs.IDLE)
    completed = rate(specs.JOBS, where='state="completed"')
    cost = rate(specs.COST)
    return [
        graph(
            "Cost per hour, by use",
            "Hours of GPUs with and without a job, times WORKER_USD_HOUR. It is not the bill, which includes the start "
            "of workers, storage and traffic. If idle is the larger part, the fleet is too large.",
            units.Dollars,
            query(f"{rate(specs.COST, 'use')} * 3600", "{{use}}"),
        ),
        graph(
            "Cost per 1,000 completed jobs",
            "With the idle time. To compare GPUs, choose their workers. To compare templates, choose a time in which "
            "only one of them ran.",
            units.Dollars,
            query(f"{cost} / {completed} * 1000", "per 1,000 jobs"),
        ),
        graph(
            "Cost since the start of the workers",
            "What the workers that run now have cost so far, by whether their GPUs ran a job.",
            units.Dollars,
            query(added(specs.COST, "use"), "{{use}}"),
        ),
        graph(
            "GPU seconds per completed job",
            "With work, and with the idle time, which is paid as well. Multiplied by the price of a second, it is the "
            "cost of a job. If the lines are far apart, the fleet is too large. Failed jobs are time without a result.",
            units.Seconds,
            query(f"{busy} / {completed}", "with work"),
            query(f"({busy} + {idle}) / {completed}", "with idle time"),
        ),
        graph(
            "Energy per completed job",
            "What the GPUs drew, as their driver counts it, including the time in which they were idle.",
            units.WattHour,
            query(f"{rate(specs.GPU_ENERGY)} / {completed} / 3600", "watt hours"),
        ),
    ]
