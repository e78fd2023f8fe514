"""PromQL for the workers that are chosen in the dashboard, from the specifications of their metrics.

`$job`, `$instance`, `$template` and `$window` are variables of the dashboard. `where` is one more matcher of labels.
"""

from __future__ import annotations

from worker.observers.metric_specs import MetricSpec

WINDOW = "$window"


def selector(spec: MetricSpec, where: str = "", suffix: str = "") -> str:
    """Return the series of a metric for the chosen workers and, if it has this label, the chosen templates."""
    matchers = ['job=~"$job"', 'instance=~"$instance"']
    matchers += ['template=~"$template"'] if "template" in spec.labels else []
    matchers += [where] if where else []
    return f"{spec.full_name}{suffix}{{{', '.join(matchers)}}}"


def added(spec: MetricSpec, *by: str, where: str = "") -> str:
    """Return the sum of a gauge over all workers, by these labels.

    Of a counter it is what was counted since the start of each worker. A rate would miss the first of a few events.
    """
    return _aggregate("sum", selector(spec, where), by)


def highest(spec: MetricSpec, *by: str, where: str = "") -> str:
    """Return the highest value of a gauge, by these labels."""
    return _aggregate("max", selector(spec, where), by)


def rate(spec: MetricSpec, *by: str, where: str = "", suffix: str = "") -> str:
    """Return by how much a counter grows in a second, by these labels. `suffix` selects a series of a histogram."""
    return _aggregate("sum", f"rate({selector(spec, where, suffix)}[{WINDOW}])", by)


def per_minute(spec: MetricSpec, *by: str, where: str = "") -> str:
    """Return by how much a counter grows in a minute, by these labels."""
    return f"{rate(spec, *by, where=where)} * 60"


def quantile(share: float, spec: MetricSpec, *by: str, where: str = "") -> str:
    """Return a quantile of a histogram, by these labels."""
    return f"histogram_quantile({share:g}, {rate(spec, 'le', *by, where=where, suffix='_bucket')})"


def mean(spec: MetricSpec, *by: str, where: str = "") -> str:
    """Return the mean of what a histogram observed, by these labels."""
    return f"{rate(spec, *by, where=where, suffix='_sum')} / {rate(spec, *by, where=where, suffix='_count')}"


def mean_since_start(spec: MetricSpec, *by: str) -> str:
    """Return the mean of everything that a histogram observed, by these labels. For events that are rare."""
    return " / ".join(_aggregate("sum", selector(spec, suffix=suffix), by) for suffix in ("_sum", "_count"))


def _aggregate(how: str, vector: str, by: tuple[str, ...]) -> str:
    """Return an aggregation of a vector, by these labels or over all of them."""
    return f"{how} by ({', '.join(by)}) ({vector})" if by else f"{how}({vector})"
