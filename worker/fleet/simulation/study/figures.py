"""The figures of a study: what is compared, in which units, and where the cases differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from worker.fleet.simulation.mean_interval import MeanInterval
from worker.fleet.simulation.summary import FleetSummary


@dataclass(frozen=True, slots=True)
class FigureSpec:
    """One figure of a run. `least` is a difference that matters to nobody, in the figure's unit."""

    key: str
    label: str
    unit: str
    value: Callable[[FleetSummary], float | None]
    least: float


FIGURES = (
    FigureSpec("wait_p50_s", "wait, p50", "s", lambda run: run.waits.p50_s, 2.0),
    FigureSpec("wait_p90_s", "wait, p90", "s", lambda run: run.waits.p90_s, 5.0),
    FigureSpec("wait_p95_s", "wait, p95", "s", lambda run: run.waits.p95_s, 5.0),
    FigureSpec("wait_p99_s", "wait, p99", "s", lambda run: run.waits.p99_s, 10.0),
    FigureSpec("utilisation", "utilisation", "%", lambda run: 100 * run.utilisation, 2.0),
    FigureSpec("gpu_hours", "GPU hours billed", "h", lambda run: run.gpu_hours, 0.5),
    FigureSpec("usd", "cost", "$", lambda run: run.usd, 0.5),
    FigureSpec("usd_per_1000", "cost of 1,000 jobs", "$", lambda run: run.usd_per_1000, 0.1),
    FigureSpec("cold_starts", "cold starts", "", lambda run: float(run.cold_starts), 2.0),
    FigureSpec("most_ready", "most workers", "", lambda run: float(run.most_ready), 1.0),
    FigureSpec("failed", "failed jobs", "", lambda run: float(run.failed), 1.0),
)
NEARLY = 1.15
"""Ratio up to which two figures count as equal."""


def intervals(runs: Sequence[FleetSummary]) -> dict[str, MeanInterval | None]:
    """Return the figures of runs with several seeds, by key. None stands for a figure without a price."""
    found: dict[str, MeanInterval | None] = {}
    for spec in FIGURES:
        values = [spec.value(run) for run in runs]
        known = [value for value in values if value is not None]
        found[spec.key] = MeanInterval.of(known) if len(known) == len(values) else None
    return found


def interval_text(spec: FigureSpec, interval: MeanInterval | None) -> str:
    """Return a figure for people: `12.4 ± 0.8 s`, `$3.20`, or `never` for an infinite wait."""
    if interval is None:
        return "-"
    if math.isinf(interval.mean):
        return "never"
    half = interval.high - interval.mean
    digits = 0 if interval.mean >= 100 else 1 if interval.mean >= 10 or spec.unit != "$" else 2
    if spec.unit == "":
        digits = 0 if interval.mean >= 10 or interval.mean == int(interval.mean) else 1
    text = f"{interval.mean:,.{digits}f}" + (f" ± {half:,.{digits}f}" if half >= 0.5 * 10**-digits else "")
    return f"${text}" if spec.unit == "$" else f"{text} {spec.unit}".rstrip()


def differences(cases: Mapping[str, Mapping[str, MeanInterval | None]]) -> Iterator[str]:
    """Yield a sentence for each figure in which the cases differ, the largest ratios first.

    Two cases differ if their intervals do not overlap, and the difference is large enough to matter.
    """
    found: list[tuple[float, str]] = []
    for spec in FIGURES:
        means = {name: interval for name, figures in cases.items() if (interval := figures[spec.key]) is not None}
        if len(means) < 2:
            continue
        low, high = min(means, key=lambda name: means[name].mean), max(means, key=lambda name: means[name].mean)
        if not _differ(spec, means[low], means[high]):
            continue
        ratio = means[high].mean / means[low].mean if means[low].mean > 0 else math.inf
        times = f", {ratio:.{0 if ratio >= 10 else 1}f} times as much" if math.isfinite(ratio) else ""
        high_text, low_text = interval_text(spec, means[high]), interval_text(spec, means[low])
        found.append((ratio, f"{spec.label}: {high_text} in {high}, {low_text} in {low}{times}"))
    yield from (text for _, text in sorted(found, key=lambda item: -item[0]))


def _differ(spec: FigureSpec, low: MeanInterval, high: MeanInterval) -> bool:
    """Return whether one figure is clearly above another."""
    if math.isinf(high.mean):
        return math.isfinite(low.mean)
    return high.mean - low.mean >= spec.least and high.mean > NEARLY * low.mean and high.low > low.high
