"""Where the time of a job goes."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, above, graph, query, stacked
from monitoring.promql import mean, quantile, rate
from worker.observers import metric_specs as specs

WAIT_LIMITS = above(60, 120)


def panels() -> Sequence[Panel]:
    """Return the panels."""
    return [*_waits(), *_parts()]


def _waits() -> Sequence[Panel]:
    """Return the panels about the time that a client waits."""
    return [
        graph(
            "Wait until ComfyUI starts the job",
            "From the acceptance of a job to the start of its run. If it grows, compare it with Seconds of work to do: "
            "with much work, add workers; with little, look for slow downloads in the stage preparing.",
            units.Seconds,
            query(quantile(0.5, specs.JOB_QUEUE), "p50"),
            query(quantile(0.95, specs.JOB_QUEUE), "p95"),
            limits=WAIT_LIMITS,
        ),
        graph(
            "Duration of jobs, median by template",
            "From acceptance to the end. Compare with the graph of waits to see whether the GPU or the queue is slow.",
            units.Seconds,
            query(quantile(0.5, specs.JOB_DURATION, "template"), "{{template}}"),
        ),
        graph(
            "Duration of jobs, p95 by template",
            "The slowest twentieth. A p95 far above the median with short waits points to cold models: see Models, "
            "files and caches.",
            units.Seconds,
            query(quantile(0.95, specs.JOB_DURATION, "template"), "{{template}}"),
        ),
    ]


def _parts() -> Sequence[Panel]:
    """Return the panels about the stages and nodes of jobs."""
    return [
        graph(
            "Time in each stage, median and p95",
            "queued and waiting are the queue, preparing is downloads of inputs and models, generating is ComfyUI, and "
            "delivering is encoding and upload.",
            units.Seconds,
            query(quantile(0.5, specs.JOB_STAGE, "stage"), "{{stage}} p50"),
            query(quantile(0.95, specs.JOB_STAGE, "stage"), "{{stage}} p95"),
        ),
        stacked(
            graph(
                "Share of the time of jobs, by stage",
                "Everything except generating is time in which the client waits and the GPU does not work for it.",
                units.PercentUnit,
                query(f"{_stage_time('stage')} / on () group_left () {_stage_time()}", "{{stage}}"),
            )
        ).max(1),
        graph(
            "Mean time of a node, by class",
            "The ten slowest node classes. A loader at the top means that models do not stay in memory.",
            units.Seconds,
            query(f"topk(10, {mean(specs.NODE, 'class')})", "{{class}}"),
        ),
    ]


def _stage_time(*by: str) -> str:
    """Return how many seconds jobs spend in stages in each second."""
    return rate(specs.JOB_STAGE, *by, suffix="_sum")
