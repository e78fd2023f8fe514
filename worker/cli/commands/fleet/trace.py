"""`comfy-worker fleet trace`: a CSV file of arrivals, from workers' logs or from a pattern."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.fleet import pattern_options as options
from worker.cli.commands.fleet.group import trace_in, written
from worker.cli.options import Json
from worker.cli.usage import UsageFailure
from worker.fleet.simulation.job_mix import MixName

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.fleet.simulation.recorded_trace import RecordedTrace
    from worker.fleet.simulation.trace_summary import TraceSummary

EXAMPLES = (
    "comfy-worker fleet trace --state .state --out trace.csv",
    "comfy-worker fleet trace --pattern daily --out trace.csv",
    "comfy-worker fleet trace --pattern bursty --videos 0.1 --out trace.csv",
    "comfy-worker fleet trace --summary trace.csv",
)


def command(  # noqa: PLR0913 - one parameter an option
    *,
    states: Annotated[
        list[Path] | None,
        typer.Option("--state", help="State folder of a worker, instead of WORKER_STATE. Several folders are merged."),
    ] = None,
    pattern: options.Pattern = None,
    jobs_a_day: options.JobsADay = 1000.0,
    days: options.Days = 1.0,
    mix: options.Mix = MixName.PICTURES,
    videos: options.Videos = 0.0,
    alternate: options.Alternate = False,
    peak_hour: options.PeakHour = None,
    peak_ratio: options.PeakRatio = None,
    burst_ratio: options.BurstRatio = None,
    growth: options.Growth = None,
    seed: options.Seed = 1,
    summary: Annotated[Path | None, typer.Option(metavar="FILE", help="Only describe this trace.")] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="CSV file to write.")] = None,
    as_json: Json = False,
) -> None:
    """Make or describe a trace: when jobs arrive, and their work.

    A worker logs its arrivals in its state folder, without prompts and names. Their seconds are converted to those of
    an RTX 4090. See docs/fleet.md.
    """
    from worker.fleet.simulation.recorded_trace import RecordedTrace

    _check_sources(states, pattern, summary, out)
    notes: list[str] = []
    if summary is not None:
        trace = trace_in(summary)
    elif pattern is not None:
        shape = {"peak_hour": peak_hour, "peak_ratio": peak_ratio, "burst_ratio": burst_ratio, "growth": growth}
        choice = options.PatternChoice(pattern, jobs_a_day, days, mix, videos, alternate, seed, shape)
        trace = RecordedTrace(choice.jobs())
    else:
        trace, notes = _logged(states)
    _finish(trace, out, notes, as_json=as_json)


def _check_sources(states: object, pattern: object, summary: object, out: object) -> None:
    """Raise UsageFailure unless there is one source, and a file to write unless a trace is only described."""
    if sum(map(bool, (states, pattern, summary))) > 1:
        step = "Run `comfy-worker fleet trace --help` to see examples."
        raise UsageFailure("--state, --pattern and --summary exclude each other", step)
    if summary and out:
        raise UsageFailure("--summary writes no file", "Leave out --out.")
    if not summary and not out:
        raise UsageFailure("there is no file to write", "Name one with --out trace.csv.")


def _logged(states: list[Path] | None) -> tuple[RecordedTrace, list[str]]:
    """Return the trace of the workers with these state folders, and sentences about it. Raises Failure."""
    from worker.cli.output.failure import Failure
    from worker.errors import NoArrivals
    from worker.fleet.simulation.logged_arrivals import logged_arrivals
    from worker.settings import Settings

    try:
        logged = logged_arrivals(states or [Settings.from_env().state])
    except NoArrivals as error:
        raise Failure(error.code, str(error)) from error
    except OSError as error:
        raise Failure("file_unreadable", f"{error.filename}: {(error.strerror or str(error)).lower()}") from error
    notes = []
    if logged.unreadable:
        notes.append(f"{logged.unreadable} lines were left out, because they could not be read.")
    if logged.hashed_in > 1:
        notes.append("Kinds with the name k-... differ from one state folder to the next, even for the same models.")
    return logged.trace, notes


def _finish(trace: RecordedTrace, out: Path | None, notes: list[str], *, as_json: bool) -> None:
    """Write the trace to a file, if there is one, and print its summary."""
    from worker.fleet.simulation.recorded_trace import write_trace
    from worker.fleet.simulation.trace_summary import summary_of

    if out is not None:
        with written(out):
            write_trace(out, trace)
    summary = summary_of(trace)
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({"file": str(out) if out else None, **summary.as_dict(), "notes": notes})
        return
    for line in (*_lines(summary), *notes):
        typer.echo(line)
    if out is not None:
        typer.echo(f"Written to {out}.")


def _lines(summary: TraceSummary) -> Sequence[str]:
    """Return a summary for people."""
    hours = summary.span_s / 3600
    span = f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours" if hours >= 2 else f"{hours * 60:.0f} min"
    start = f" from {summary.start}" if summary.start else ""
    rates = [f"{count:.3g}" for count in summary.jobs_by_hour]
    busy = f"{summary.mean_busy:.2f} busy GPUs in the mean, {summary.peak_busy:.2f} in the busiest hour"
    kinds = [
        f"  {kind.kind or '(no models)'}: {kind.jobs:,} jobs, {kind.units:.3g} units each, seconds p50"
        f" {kind.seconds_p50:.3g} and p90 {kind.seconds_p90:.3g}, {kind.work_share:.0%} of the work"
        for kind in summary.kinds[:20]
    ]
    return (
        f"{summary.jobs:,} jobs in {span}{start}: {summary.jobs_a_day:,.0f} a day",
        f"{summary.seconds / 3600:.2f} hours of an RTX 4090: {busy}",
        "jobs in each hour of the day" + (", UTC" if summary.start else ""),
        *(f"  {first:02} to {first + 6:02}  {'  '.join(rates[first : first + 6])}" for first in (0, 6, 12, 18)),
        "kinds" + (f", the first 20 of {len(summary.kinds)}" if len(summary.kinds) > 20 else ""),
        *kinds,
    )
