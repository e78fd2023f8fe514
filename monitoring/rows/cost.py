"""What a job costs, in time of GPUs and in energy."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, graph, query
from monitoring.promql import rate
from worker.observers import metric_specs as specs


def panels() -> Sequence[Panel]:
    """Return the panels."""
    busy, idle = rate(specs.BUSY), rate(specs.IDLE)
    completed = rate(specs.JOBS, where='state="completed"')
    return [
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
