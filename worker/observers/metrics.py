"""Counts events for Prometheus. Each worker has its own registry, and the number of label values is limited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric
from prometheus_client.exposition import choose_encoder

from worker.events import (
    CacheHit,
    CostDiffered,
    DeliveryEnded,
    EngineLost,
    EngineStarted,
    Handlers,
    InputFetched,
    JobFinished,
    JobPredicted,
    LoadReported,
    LoopBlocked,
    MachineSlowed,
    ModelFetched,
    NodeRan,
    NodesCached,
    Notify,
    RequestRefused,
    TaskFailed,
    WebhookAttempted,
    ignore_event,
)
from worker.job import JobState
from worker.observers import metric_specs as specs
from worker.observers.engine_use import EngineUses
from worker.observers.metric_specs import MetricSpec, MetricType
from worker.observers.snapshot import Snapshot, live_metrics

M = TypeVar("M", Counter, Histogram)
Series = tuple[MetricSpec, tuple[str, ...]]
"""A metric and the values of its labels."""

OTHER = "other"
MOST_VALUES = 100
"""Values of one label. A catalog has over a thousand classes, and each would add 16 series."""
TICK_S = 0.05
BLOCKED_S = 0.03
"""Delay of a tick from which the event loop counts as blocked."""
OPENMETRICS = "application/openmetrics-text"
BEFORE_THE_RUN = frozenset({JobState.QUEUED, JobState.PREPARING, JobState.WAITING})


class Metrics:
    """An observer that updates metrics. `templates` are the names that may be label values. Others count as `other`."""

    def __init__(self, templates: Collection[str]) -> None:
        self._templates = frozenset(templates)
        self._registry = CollectorRegistry()
        self._counters = {spec: registered_counter(spec, self._registry) for spec in _specs_of(MetricType.COUNTER)}
        self._histograms = {
            spec: registered_histogram(spec, self._registry) for spec in _specs_of(MetricType.HISTOGRAM)
        }
        self._counter_series: dict[Series, Counter] = {}
        self._histogram_series: dict[Series, Histogram] = {}
        self._values_by_label: dict[str, set[str]] = {}
        self._last_report: LoadReported | None = None
        self.engine_uses = EngineUses()
        """An observer of its own, whose times the page shows."""

    @property
    def handlers(self) -> Handlers:
        """Handlers of the events that update metrics."""
        return {
            JobFinished: self._job_finished,
            JobPredicted: self._job_predicted,
            NodeRan: self._node_ran,
            NodesCached: lambda event: self._count(specs.CACHE_HITS, "nodes", by=len(event.node_ids)),
            DeliveryEnded: self._delivery_ended,
            WebhookAttempted: lambda event: self._count(specs.WEBHOOKS, event.outcome),
            RequestRefused: self._request_refused,
            EngineStarted: self._engine_started,
            EngineLost: self._engine_lost,
            CacheHit: lambda event: self._count(specs.CACHE_HITS, event.cache, by=event.count),
            InputFetched: self._input_fetched,
            ModelFetched: self._model_fetched,
            MachineSlowed: lambda event: self._count(specs.SLOWED, self.bounded_label("engine", event.engine)),
            LoadReported: self._load_reported,
            CostDiffered: self._cost_differed,
            TaskFailed: lambda event: self._count(specs.TASK_FAILURES, self.bounded_label("task", event.task)),
        }

    async def measure_loop_delay(self, notify: Notify = ignore_event) -> None:
        """Measure the delay of the event loop, and notify observers of a long one, until cancelled."""
        while True:
            due = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            delay_s = max(0.0, time.monotonic() - due)
            self.observe(specs.LOOP_LAG, delay_s)
            if delay_s > BLOCKED_S:
                notify(LoopBlocked(delay_s))

    def render(self, snapshot: Snapshot, accept: str) -> tuple[bytes, str]:
        """Return the metrics page and its content type for an `Accept` header.

        Takes some milliseconds, so call it in a thread.
        """
        return encoded_page(self._registry, live_metrics(snapshot, self._last_report), accept)

    def _job_finished(self, event: JobFinished) -> None:
        """Count a job, and observe its times unless this is a second delivery."""
        self._count(specs.JOBS, event.state, event.code or "")
        stages = dict(event.stages)
        if JobState.DELIVERY_PENDING in stages:
            return  # a second delivery: the times of the job were observed before the first one
        template = self._handler(event.handler) if event.handler is not None else self._template(event.template)
        self.observe(specs.JOB_DURATION, event.elapsed_s, template)
        for stage, seconds in stages.items():
            self.observe(specs.JOB_STAGE, seconds, stage, template)
        if JobState.GENERATING in stages:
            self.observe(specs.JOB_QUEUE, sum(stages.get(stage, 0.0) for stage in BEFORE_THE_RUN))

    def _job_predicted(self, event: JobPredicted) -> None:
        """Observe the predicted time of a run, and how well it was predicted."""
        labels = self._template(event.template), _flag(event.cold)
        self.observe(specs.PREDICTED, event.predicted_s, *labels)
        self._count(specs.PREDICTIONS, _flag(event.seconds <= event.predicted_p90_s))
        if event.predicted_s > 0:
            self.observe(specs.PREDICTION_RATIO, event.seconds / event.predicted_s, *labels)

    def _node_ran(self, event: NodeRan) -> None:
        """Observe the loading of models."""
        if event.load_tier:
            self._count(specs.MODEL_LOADS, event.load_tier)
            self.observe(specs.MODEL_LOAD, event.load_s, event.load_tier)

    def _delivery_ended(self, event: DeliveryEnded) -> None:
        """Count a delivery and its bytes."""
        self._count(specs.DELIVERIES, event.method, event.code or "")
        self.observe(specs.DELIVERY, event.seconds, event.method)
        if event.code is None:
            self._count(specs.DELIVERED_BYTES, event.method, by=event.size)

    def _request_refused(self, event: RequestRefused) -> None:
        """Count an error response."""
        self._count(specs.REFUSED, self.bounded_label("route", event.route), event.dialect, event.code)

    def _engine_started(self, event: EngineStarted) -> None:
        """Count the start of an engine."""
        engine = self.bounded_label("engine", event.engine)
        self._count(specs.ENGINE_STARTS, engine)
        self.observe(specs.ENGINE_START, event.seconds, engine)

    def _engine_lost(self, event: EngineLost) -> None:
        """Count the loss of an engine."""
        self._count(specs.ENGINE_LOSSES, self.bounded_label("engine", event.engine), event.cause)

    def _input_fetched(self, event: InputFetched) -> None:
        """Count the download of an input file."""
        self._count(specs.INPUT_FETCHES, event.code or "")
        self._count(specs.INPUT_BYTES, by=event.size)
        self.observe(specs.INPUT_FETCH, event.seconds)

    def _model_fetched(self, event: ModelFetched) -> None:
        """Count the download of a model file."""
        self._count(specs.MODEL_FETCHES, event.code or "")
        self._count(specs.MODEL_BYTES, by=event.size)
        self.observe(specs.MODEL_FETCH, event.seconds)

    def _load_reported(self, event: LoadReported) -> None:
        """Count a report, and keep it for the gauges."""
        self._count(specs.REPORTS, "taken" if event.accepted else "failed")
        self._last_report = event

    def _template(self, name: str | None) -> str:
        """Return the name of a template of the library as a label, and `other` for any other name."""
        return name if name is not None and name in self._templates else OTHER

    def _handler(self, name: str) -> str:
        """Return the label of a handler, as its path is, so that it differs from every template."""
        return self.bounded_label("handler", f"handlers/{name}")

    def _cost_differed(self, event: CostDiffered) -> None:
        """Observe a client's idea of the cost of its job."""
        if event.units > 0:
            self.observe(specs.CLIENT_COST, event.cost / event.units)

    def bounded_label(self, label: str, value: str) -> str:
        """Return the value, or `other` if it is empty, or if it is new and the label has MOST_VALUES values already."""
        known_values = self._values_by_label.setdefault(label, set())
        if value and (value in known_values or len(known_values) < MOST_VALUES):
            known_values.add(value)
            return value
        return OTHER

    def _count(self, spec: MetricSpec, *labels: str, by: float = 1) -> None:
        """Add `by` to a counter. `labels` are the values of its labels."""
        series = self._counter_series.get((spec, labels))
        if series is None:  # cached, because prometheus-client's lookup is slow
            series = self._counter_series[spec, labels] = _series(self._counters[spec], labels)
        series.inc(by)

    def observe(self, spec: MetricSpec, value: float, *labels: str) -> None:
        """Add a value to a histogram. `labels` are the values of its labels."""
        series = self._histogram_series.get((spec, labels))
        if series is None:
            series = self._histogram_series[spec, labels] = _series(self._histograms[spec], labels)
        series.observe(value)


class _MetricsPage:
    """A registry with the live metrics of one moment, in the form that prometheus-client encodes."""

    def __init__(self, registry: CollectorRegistry, live: Iterable[Metric]) -> None:
        self._registry = registry
        self._live = live

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics. prometheus-client calls it."""
        for metric in self._registry.collect():
            # prometheus-client adds the time of creation of each counter and histogram, which Prometheus does not need.
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
        yield from self._live


def encoded_page(registry: CollectorRegistry, live: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """Return a page with the metrics of a registry and live ones, and its content type for an `Accept` header."""
    # The header is not passed on, because prometheus-client fails for a version that is not a number.
    encode, content_type = choose_encoder(f"{OPENMETRICS}; version=1.0.0" if OPENMETRICS in accept else "")
    return encode(_MetricsPage(registry, live)), content_type


def _series(metric: M, labels: tuple[str, ...]) -> M:
    """Return the series of a metric for these label values."""
    return metric.labels(*labels) if labels else metric


def _flag(value: bool) -> str:
    """Return a boolean as the value of a label."""
    return "true" if value else "false"


def _specs_of(kind: MetricType) -> Iterator[MetricSpec]:
    """Yield the recorded metrics of a type."""
    return (spec for spec in specs.RECORDED if spec.type is kind)


def registered_counter(spec: MetricSpec, registry: CollectorRegistry) -> Counter:
    """Return a new counter in a registry."""
    return Counter(spec.full_name, spec.help, spec.labels, registry=registry)


def registered_histogram(spec: MetricSpec, registry: CollectorRegistry) -> Histogram:
    """Return a new histogram in a registry."""
    return Histogram(spec.full_name, spec.help, spec.labels, registry=registry, buckets=spec.buckets)
