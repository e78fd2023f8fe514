"""Metrics whose values are read when the page is requested, in the form that prometheus-client encodes."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from worker.observers.metric_specs import MetricSpec, MetricType


def metric_family(spec: MetricSpec, values: Mapping[tuple[str, ...], float]) -> CounterMetricFamily | GaugeMetricFamily:
    """Return a counter or gauge with these values, by the values of its labels."""
    family_class = CounterMetricFamily if spec.type is MetricType.COUNTER else GaugeMetricFamily
    family = family_class(spec.full_name, spec.help, labels=spec.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
