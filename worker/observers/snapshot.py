"""Numbers of a worker at one moment, and their form as metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily

from worker import __version__
from worker.events import LoadReported
from worker.observers import metric_specs as specs
from worker.observers.metric_specs import MetricSpec


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Numbers that were read in one step on the event loop."""

    running: int
    waiting: int
    delivering: int
    load_units: float
    queue_work_s: float
    engines_connected: int
    engines_away: int
    disk_free: int
    set_aside: int
    ready: bool
    sandbox: str = ""
    """State of the sandbox. Empty for a ComfyUI that the worker did not start."""


def gauges(snapshot: Snapshot, report: LoadReported | None) -> Iterator[GaugeMetricFamily]:
    """Yield the metrics of this moment. `report` is the last report to the autoscaler, or None before the first one."""
    values: dict[MetricSpec, float] = {
        specs.RUNNING: snapshot.running,
        specs.WAITING: snapshot.waiting,
        specs.DELIVERING: snapshot.delivering,
        specs.LOAD: snapshot.load_units,
        specs.QUEUE_WORK: snapshot.queue_work_s,
        specs.DISK_FREE: snapshot.disk_free,
        specs.SET_ASIDE: snapshot.set_aside,
        specs.READY: snapshot.ready,
    }
    if report is not None:
        values |= {specs.REPORTED_LOAD: report.load_units, specs.MAX_PERF: report.max_perf_units}
    for spec, value in values.items():
        yield GaugeMetricFamily(spec.full_name, spec.help, value=value)
    yield _labelled(specs.ENGINES, connected=snapshot.engines_connected, away=snapshot.engines_away)
    if snapshot.sandbox:
        yield _labelled(specs.SANDBOXED, **{snapshot.sandbox: 1})
    yield _labelled(specs.INFO, **{__version__: 1})


def _labelled(spec: MetricSpec, **values: float) -> GaugeMetricFamily:
    """Return a gauge with one label. `values` has the number for each value of the label."""
    family = GaugeMetricFamily(spec.full_name, spec.help, labels=spec.labels)
    for label_value, number in values.items():
        family.add_metric([label_value], number)
    return family
