"""Counts events of the proxy for Prometheus. No client chooses a value of a label."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Metric

from worker import __version__
from worker.observers.families import metric_family
from worker.observers.metric_specs import INFO, MetricSpec, MetricType
from worker.observers.metrics import encoded_page, registered_counter, registered_histogram
from worker.proxy.dispatch.slot import BackendSlot
from worker.proxy.events import AttemptEnded, AttemptStarted, BackendPassedOver, JobEnded, ProxyEvent, RequestRejected
from worker.proxy.job import AttemptOutcome, ProxyJob
from worker.proxy.metrics import specs

NO_BACKEND = "none"
"""Label of a job that no backend was asked to run."""
CANCELLED = 499


class ProxyMetrics:
    """An observer that updates the metrics of the proxy."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        recorded = specs.PROXY_RECORDED
        self._counters = {
            spec: registered_counter(spec, self._registry) for spec in recorded if spec.type is MetricType.COUNTER
        }
        self._histograms = {
            spec: registered_histogram(spec, self._registry) for spec in recorded if spec.type is MetricType.HISTOGRAM
        }

        self._series: dict[tuple[object, ...], Counter] = {}
        """Counters with the values of their labels, which are few."""

    def observe(self, event: ProxyEvent) -> None:
        """Update the metrics that an event changes."""
        match event:
            case AttemptStarted(job, backend):
                self._attempt_started(job, backend)
            case BackendPassedOver(_, backend, demotion):
                self._count(specs.FALLBACKS, backend, demotion.value)
            case AttemptEnded(_, backend, outcome):
                self._count(specs.ATTEMPTS, backend, outcome.value)
            case JobEnded(job):
                self._job_ended(job)
            case RequestRejected(route, code, _):
                self._count(specs.REJECTED, route, code)

    def render(self, slots: Iterable[BackendSlot], waiting: int, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type for an `Accept` header. `waiting` jobs have no backend yet."""
        return encoded_page(self._registry, live_proxy_metrics(list(slots), waiting), accept)

    def _attempt_started(self, job: ProxyJob, backend: str) -> None:
        """Count a submission. Count it for the backend before it, too, if that has not run the job."""
        self._count(specs.SUBMISSIONS, backend)
        if len(job.attempts) < 2:
            self._histograms[specs.DISPATCH].observe(max(0.0, time.time() - job.created_at))
            return
        previous = job.attempts[-2]
        if previous.outcome is AttemptOutcome.LOST:
            self._count(specs.RESUBMISSIONS, previous.backend)
        if previous.backend != backend and previous.outcome is not None:
            self._count(specs.FALLBACKS, previous.backend, previous.outcome.value)

    def _job_ended(self, job: ProxyJob) -> None:
        """Count the end of a job, and observe its duration."""
        backend = job.attempts[-1].backend if job.attempts else NO_BACKEND
        self._count(specs.JOBS, backend, _outcome(job))
        self._histograms[specs.DURATION].labels(backend).observe(max(0.0, time.time() - job.created_at))

    def _count(self, spec: MetricSpec, *labels: str) -> None:
        """Add one to a counter. `labels` are the values of its labels."""
        key = (spec, *labels)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._counters[spec].labels(*labels)
        series.inc()


def live_proxy_metrics(slots: list[BackendSlot], waiting: int) -> Iterator[Metric]:
    """Yield the metrics of this moment. A backend that does not report its load has no series for it."""
    loads = {slot.name: slot.load for slot in slots if slot.load is not None}
    values: dict[MetricSpec, dict[tuple[str, ...], float]] = {
        specs.OPEN_JOBS: {(slot.name,): slot.open_jobs for slot in slots},
        specs.WAITING_JOBS: {(): waiting},
        specs.UP: {(slot.name,): not slot.problem for slot in slots},
        specs.QUEUED: {(name,): load.queued for name, load in loads.items()},
        specs.RUNNING: {(name,): load.running for name, load in loads.items()},
        INFO: {(__version__,): 1},
    }
    for spec, by_labels in values.items():
        yield metric_family(spec, by_labels)


def _outcome(job: ProxyJob) -> str:
    """Return the value of the label `outcome` for a job that has ended."""
    status = job.result.status if job.result is not None else 0
    if status == CANCELLED:
        return "cancelled"
    return "succeeded" if 200 <= status < 300 else "failed"
