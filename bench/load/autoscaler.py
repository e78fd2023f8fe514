"""The queue time that the autoscaler sees, `cur_load / max_perf`, compared with the seconds until the work was done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.load.part import NOT_RUN, LoadRow, PartResult
from bench.load.plots import Axis, Plot, Series, padded_range
from bench.load.reports.drive import ReportedRun, Setup, drive
from bench.load.reports.former import FORMER, check_out_former
from bench.load.reports.queue_time import QueueTime, queue_times, summary, total_ratio

AT_MOST = 0.15
TARGET = "median error <= 15 %"
RUNNING, METERING = "WORKER_VAST_RUNNING", "WORKER_VAST_METERING"
WHOLE = {RUNNING: "all", METERING: "false"}
SEVERAL = 3
WHAT = "`cur_load / max_perf` and the seconds to do, mixed run, "


@dataclass(frozen=True, slots=True)
class Checked:
    """A run and the queue times of its reports."""

    run: ReportedRun
    rows: Sequence[QueueTime]

    def __str__(self) -> str:
        """Return the errors, and what part of the true seconds was reported."""
        return f"error {summary(self.rows)} (median / p90), reported {total_ratio(self.rows):.0%} of the seconds"


async def measure(seed: int, folder: Path, *, short: bool) -> PartResult:
    """Measure a worker with one engine, one with several, other settings, and the former release."""
    one = await _check(Setup(1, WHOLE), seed, folder / "one")
    several = await _check(Setup(SEVERAL, WHOLE), seed, folder / "several")
    env = check_out_former(folder / "former")
    former = await _check(Setup(1, env), seed, folder / "before") if env else None
    rows = [
        _row(f"{WHAT}one engine", one, str(former) if former else f"{NOT_RUN}: the clone has no {FORMER}"),
        _row(f"{WHAT}{SEVERAL} engines", several),
    ]
    if not short:
        rows += await _other_settings(one, seed, folder)
    return PartResult(rows, plots={"load-queue-time.svg": _plot(one, former).svg()})


async def _check(setup: Setup, seed: int, folder: Path) -> Checked:
    """Run the load on a worker, and compare its reports with the truth."""
    run = await drive(setup, seed, folder)
    return Checked(run, queue_times(run.reports, run.jobs))


async def _other_settings(whole: Checked, seed: int, folder: Path) -> list[LoadRow]:
    """Return the rows that show what the other settings leave out."""
    rows = []
    for value in ("excess", "none"):
        checked = await _check(Setup(1, {**WHOLE, RUNNING: value}), seed, folder / value)
        left_out = 1 - total_ratio(checked.rows) / total_ratio(whole.rows)
        rows.append(LoadRow(f"the same with `{RUNNING}={value}`", f"leaves out {left_out:.0%} of the seconds"))
    metered = await _check(Setup(1, {**WHOLE, METERING: "true"}), seed, folder / "metered")
    burst, metered_burst = _largest_arrival_s(whole.run), _largest_arrival_s(metered.run)
    measured = f"largest `new_load` of a report: {metered_burst:.1f} s of work, {burst:.1f} s without"
    return [*rows, LoadRow(f"the same with `{METERING}=true`", f"{metered}; {measured}")]


def _row(what: str, checked: Checked, today: str = "-") -> LoadRow:
    """Return a row with the target."""
    return LoadRow(what, str(checked), today, TARGET, summary(checked.rows).median <= AT_MOST)


def _largest_arrival_s(run: ReportedRun) -> float:
    """Return the largest `new_load` of a report, in seconds of the worker's work."""
    return max(report.new_load / report.max_perf for report in run.reports)


def _plot(one: Checked, former: Checked | None) -> Plot:
    """Return the reported and the true seconds over time. The former release needs a logarithmic scale."""
    began = one.rows[0].at
    true = [(row.at - began, row.true_s) for row in one.rows]
    reported = [(row.at - began, row.reported_s) for row in one.rows]
    series = [
        Series("true seconds to do", true, "grey", is_line=True),
        Series("reported", reported, "blue", is_line=True),
    ]
    if former is not None:
        before = [(row.at - former.rows[0].at, row.reported_s) for row in former.rows]
        series.append(Series("reported by the former release", before, "orange", is_line=True))
    last = max(seconds for seconds, _ in true)
    shown = [replace(row, points=[point for point in row.points if point[0] <= last]) for row in series]
    low, high = padded_range([seconds for row in shown for _, seconds in row.points])
    return Plot(
        "Queue time that the autoscaler sees, one engine",
        Axis("seconds since the burst of jobs", 0, last),
        Axis("seconds of work", low, high, is_log=True),
        shown,
    )
