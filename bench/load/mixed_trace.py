"""The mixed trace on embedded engines: errors after 50 jobs of a shape, the floor below them, and what p90 covers."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.load.accuracy import ErrorSummary, coverage, floor
from bench.load.mixed.shapes import SHAPES
from bench.load.mixed.trace import TracedJob, run_trace
from bench.load.part import LoadRow, PartResult
from bench.load.plots import Axis, Plot, Series, padded_range, rolling

KNOWN_AFTER = 50
"""Jobs of a shape after which the predictions of the shape are compared."""
MEDIAN_POINTS, P90_POINTS = 0.03, 0.07
"""How far the median and the p90 of the errors may be above the floor."""
COVERED = (0.88, 0.94)
WINDOW = 51
"""Jobs of which the learning curve shows the median error."""


async def measure(seeds: Sequence[int], jobs: int, folder: Path) -> PartResult:
    """Run the trace of each seed. The rows are those of all seeds together, and the plots are those of the first."""
    traces = {seed: await run_trace(seed, jobs, folder / f"trace-{seed}") for seed in seeds}
    rows, notes = rows_of(traces)
    return PartResult(rows, [notes], plots_of(traces[seeds[0]], seeds[0]))


def known(trace: Sequence[TracedJob]) -> list[TracedJob]:
    """Return the jobs that ran after `KNOWN_AFTER` jobs of their shape."""
    return [job for job in trace if job.nth > KNOWN_AFTER]


def rows_of(traces: Mapping[int, Sequence[TracedJob]]) -> tuple[list[LoadRow], str]:
    """Return the rows of the table, and a table of the seeds. The floor of each seed has its own medians."""
    lines, above_median, above_p90, covered = [], [], [], []
    for seed, trace in traces.items():
        outcomes = [job.outcome for job in known(trace)]
        best, errors = floor(outcomes), ErrorSummary.of(outcome.error for outcome in outcomes)
        above_median.append(errors.median - best.median)
        above_p90.append(errors.p90 - best.p90)
        covered.append(coverage(outcomes))
        lines.append(f"| {seed} | {len(outcomes)} | {errors} | {best} | {covered[-1]:.1%} |")
    median, p90, share = (statistics.fmean(values) for values in (above_median, above_p90, covered))
    jobs = sum(len(trace) for trace in traces.values()) // len(traces)
    what = f"mixed trace of {jobs:,} jobs, after {KNOWN_AFTER} jobs of a shape: "
    rows = [
        LoadRow(
            f"{what}median / p90 error above the floor",
            f"{100 * median:+.1f} / {100 * p90:+.1f} points (worst seed {100 * max(above_median):+.1f} / "
            f"{100 * max(above_p90):+.1f})",
            target="<= 3 / 7 points",
            met=median <= MEDIAN_POINTS and p90 <= P90_POINTS,
        ),
        LoadRow(
            f"{what}jobs within p90",
            f"{share:.1%} ({min(covered):.1%} .. {max(covered):.1%})",
            target="88 to 94 %",
            met=COVERED[0] <= share <= COVERED[1],
        ),
    ]
    head = "| seed | jobs compared | median / p90 error | floor | within p90 |\n|---|---|---|---|---|\n"
    return rows, head + "\n".join(lines)


def plots_of(trace: Sequence[TracedJob], seed: int) -> dict[str, str]:
    """Return the scatter of predictions and the learning curve of one seed."""
    return {
        "load-predictions.svg": _scatter(trace, seed).svg(),
        "load-learning.svg": _curve(trace, seed).svg(),
    }


def _scatter(trace: Sequence[TracedJob], seed: int) -> Plot:
    """Return the predicted and the measured seconds of each job."""
    points = [(job.outcome.seconds, max(job.outcome.p50_s, 1e-3)) for job in trace]
    low, high = padded_range([value for point in points for value in point])
    late = [point for job, point in zip(trace, points, strict=True) if job.nth > KNOWN_AFTER]
    early = [point for job, point in zip(trace, points, strict=True) if job.nth <= KNOWN_AFTER]
    return Plot(
        f"Predicted and measured GPU seconds, mixed trace of seed {seed}",
        Axis("measured, seconds", low, high, is_log=True),
        Axis("predicted before the run, seconds", low, high, is_log=True),
        [
            Series(f"the first {KNOWN_AFTER} jobs of each shape", early, "orange"),
            Series("later jobs", late, "blue"),
        ],
        notes=[[(low, low), (high, high)]],
    )


def _curve(trace: Sequence[TracedJob], seed: int) -> Plot:
    """Return the median error over the last jobs, and the floor after and before the throttling."""
    errors = rolling([job.outcome.error for job in trace], WINDOW)
    best = floor([job.outcome for job in trace]).median
    top = min(1.0, max(0.2, max(error for _, error in errors[1:]) * 1.1))
    return Plot(
        f"Median error of the last {WINDOW} jobs, {len(SHAPES)} shapes, seed {seed}",
        Axis("jobs", 0, len(trace)),
        Axis("median error", 0, top, percent=True),
        [Series("prediction", errors, "blue", is_line=True)],
        notes=[[(0, best), (len(trace), best)]],
        marks=[(len(trace) / 2, "one GPU is throttled")],
    )
