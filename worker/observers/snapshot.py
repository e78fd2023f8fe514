"""Numbers of a worker at one moment, and their form as metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prometheus_client import Metric

from worker import __version__
from worker.events import LoadReported
from worker.gpus.facts import NO_GPUS, GpuReport
from worker.observers import metric_specs as specs
from worker.observers.engine_use import EngineUse
from worker.observers.families import metric_family
from worker.observers.gpu_metrics import gpu_metrics
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
    engine_uses: tuple[EngineUse, ...] = ()
    usd_hour: float = 0.0
    """Price of a GPU in US dollars an hour. 0 if it is not known."""
    slowdowns: Mapping[str, float] = field(default_factory=dict)
    """The slowdown of each engine, as far as it is known."""
    gpus: GpuReport = NO_GPUS


def live_metrics(snapshot: Snapshot, report: LoadReported | None) -> Iterator[Metric]:
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
        yield metric_family(spec, {(): value})
    yield from _labelled(specs.ENGINES, {"connected": snapshot.engines_connected, "away": snapshot.engines_away})
    yield from _labelled(specs.SANDBOXED, {snapshot.sandbox: 1} if snapshot.sandbox else {})
    yield from _labelled(specs.INFO, {__version__: 1})
    yield from _labelled(specs.BUSY, {use.engine: use.busy_s for use in snapshot.engine_uses})
    yield from _labelled(specs.IDLE, {use.engine: use.idle_s for use in snapshot.engine_uses})
    yield from _labelled(specs.COST, _costs(snapshot) if snapshot.usd_hour else {})
    yield from _labelled(specs.SLOWDOWN, snapshot.slowdowns)
    yield from gpu_metrics(snapshot.gpus)


def _costs(snapshot: Snapshot) -> dict[str, float]:
    """Return the cost of the time in which engines were busy and idle, in US dollars. Each engine has one GPU."""
    per_s, uses = snapshot.usd_hour / 3600, snapshot.engine_uses
    return {"busy": per_s * sum(use.busy_s for use in uses), "idle": per_s * sum(use.idle_s for use in uses)}


def _labelled(spec: MetricSpec, values: Mapping[str, float]) -> Iterator[Metric]:
    """Yield a metric with one label, from the number for each value of the label. Without numbers, yield nothing."""
    if values:
        yield metric_family(spec, {(label,): number for label, number in values.items()})
