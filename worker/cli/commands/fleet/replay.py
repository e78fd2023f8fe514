"""`comfy-worker fleet replay`: plays a trace on this machine, and compares it with the simulation."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.commands.deploy.group import FILE, reported_errors
from worker.cli.commands.fleet.group import fleet_to_plan, trace_in
from worker.cli.options import Json
from worker.cli.usage import UsageFailure

if TYPE_CHECKING:
    from worker.fleet.definition.fleet import Fleet
    from worker.fleet.simulation.scenario import FleetScenario
    from worker.fleet.simulation.summary import FleetSummary
    from worker.fleet.simulation.trace import TraceJob
    from worker.simulators.vast_fleet.comparison import Comparison
    from worker.simulators.vast_fleet.replay import ReplayResult

INTERRUPTED = 130
LATE_S = 5.0
"""Seconds of the trace from which a late start is mentioned."""

EXAMPLES = (
    "comfy-worker fleet replay --trace trace.csv --fleet vast.toml",
    "comfy-worker fleet replay --trace trace.csv --minutes 30 --reading B",
    "comfy-worker fleet replay --trace trace.csv --speed 5 --json",
)


def command(
    *,
    trace: Annotated[Path, typer.Option(metavar="FILE", help="CSV file of `comfy-worker fleet trace`.")],
    file: Annotated[Path, typer.Option("--fleet", metavar="FILE", help="File that describes the fleet.")] = FILE,
    reading: Annotated[
        str | None, typer.Option(help="Reading of Vast's autoscaler: A, B, B' or C. Default: the file's first.")
    ] = None,
    speed: Annotated[float, typer.Option(min=1, max=50, help="Seconds of the trace in a second.")] = 10.0,
    minutes: Annotated[
        float | None, typer.Option(min=0.1, help="Play only the first minutes of the trace. Default: all of it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Play a trace on this machine, and compare it with the simulation.

    A local copy of Vast's router, workers with Vast's SDK and embedded engines, and Vast's own client run in real time.
    The same policies as in the simulation start and stop the workers. Needs no GPU and no account. See docs/fleet.md.
    """
    jobs = _first_minutes(trace_in(trace).jobs, minutes)
    with reported_errors(file):
        fleet = fleet_to_plan(file)
    scenario = _scenario(fleet, jobs, reading)
    folder = Path(tempfile.mkdtemp(prefix="comfy-worker-replay-"))
    try:
        played = asyncio.run(_played(scenario, speed, folder))
    except asyncio.CancelledError:
        typer.echo("The replay has stopped.", err=True)
        rmtree(folder)
        raise typer.Exit(INTERRUPTED) from None
    except BaseException:
        typer.echo(f"The workers' logs are in {folder}", err=True)
        raise
    rmtree(folder)
    _show(scenario, played, speed, as_json=as_json)


def _first_minutes(jobs: Sequence[TraceJob], minutes: float | None) -> list[TraceJob]:
    """Return the jobs that arrive in this time. Raises UsageFailure when there is none."""
    first = [job for job in jobs if minutes is None or job.at_s < minutes * 60]
    if not first:
        raise UsageFailure(f"no job arrives in the first {minutes:g} minutes", "Choose more --minutes.")
    return first


def _scenario(fleet: Fleet, jobs: list[TraceJob], reading: str | None) -> FleetScenario:
    """Return what is played. Raises UsageFailure for an unknown reading."""
    from worker.fleet.simulation.study.case import READINGS, study_cases

    chosen = reading or fleet.simulation.readings[0]
    if chosen not in READINGS:
        raise UsageFailure(f"there is no reading {chosen!r}", f"The readings are {', '.join(READINGS)}.")
    return study_cases(fleet, jobs, readings=[chosen])[0].scenario


async def _played(scenario: FleetScenario, speed: float, folder: Path) -> ReplayResult:
    """Play a scenario, and stop all processes when this one is terminated. Raises Failure."""
    from worker.cli.hosting.environment import without_settings
    from worker.cli.output.failure import Failure
    from worker.cli.output.screen import screen
    from worker.cli.output.waiting import waiting
    from worker.errors import StartupError
    from worker.settings import environment
    from worker.simulators.vast_fleet.replay import ReplaySetup, replay

    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    length_s = scenario.jobs[-1].at_s / speed
    with waiting(f"playing {len(scenario.jobs)} jobs in about {length_s / 60:.1f} minutes", screen(stderr=True)):
        try:
            return await replay(scenario, ReplaySetup(speed, folder, without_settings(environment())))
        except StartupError as error:
            raise Failure("not_started", str(error)) from error


def _show(scenario: FleetScenario, played: ReplayResult, speed: float, *, as_json: bool) -> None:
    """Print the figures of the replay and of the simulation side by side."""
    from worker.simulators.vast_fleet.comparison import compare

    comparison = compare(scenario, played)
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json(_as_dict(comparison, played, speed))
        return
    from rich.text import Text

    from worker.cli.output.rows import print_rows
    from worker.cli.output.screen import screen

    rows = zip(_figures(comparison.replayed), _figures(comparison.simulated), strict=True)
    lines = [("", "REPLAY", "SIMULATION"), *((name, ours, theirs) for (name, ours), (_, theirs) in rows)]
    print_rows(screen(), [[Text(cell) for cell in line] for line in lines])
    overhead = played.overhead
    typer.echo(
        f"\nEach job occupied its worker for {overhead.running_s:.2f} s longer than the trace says, and the worker was "
        f"idle for {overhead.idle_s:.2f} s while a job waited. The jobs of the simulation are longer by both."
    )
    if played.perf is not None:
        typer.echo(f"The workers measured {played.perf:.3g} units a second. Those of the simulation report the same.")
    if played.late_s >= LATE_S:
        typer.echo(
            f"A worker was ready {played.late_s:.0f} s later than its boot time says: this machine is too busy for "
            "--speed, or the start is too short."
        )
    for failure in played.failures[:5]:
        typer.echo(f"A job failed: {failure}", err=True)


def _figures(summary: FleetSummary) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of the figures."""
    waits = summary.waits
    yield "jobs served", f"{summary.served} of {summary.jobs}"
    yield "repeated", str(summary.retries)
    for name, seconds in (("p50", waits.p50_s), ("p90", waits.p90_s), ("p95", waits.p95_s), ("mean", waits.mean_s)):
        yield f"wait, {name}", f"{seconds:.1f} s"
    yield "utilisation", f"{summary.utilisation:.0%}"
    yield "GPU hours billed", f"{summary.gpu_hours:.2f} h"
    yield "cold starts", str(summary.cold_starts)
    yield "most workers", str(summary.most_ready)


def _as_dict(comparison: Comparison, played: ReplayResult, speed: float) -> dict[str, Any]:
    """Return the figures for `--json`. Times are seconds of the trace."""
    return {
        "speed": speed,
        "replay": asdict(comparison.replayed),
        "simulation": asdict(comparison.simulated),
        "overhead": asdict(played.overhead),
        "perf": played.perf,
        "late_s": played.late_s,
        "failures": list(played.failures),
    }
