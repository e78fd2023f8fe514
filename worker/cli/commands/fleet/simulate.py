"""`comfy-worker fleet simulate`: how long jobs would wait in a fleet, and what it would cost."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import FILE, reported_errors
from worker.cli.commands.fleet.group import fleet_to_plan, price_table, trace_in
from worker.cli.options import Json
from worker.cli.usage import UsageFailure

if TYPE_CHECKING:
    from worker.fleet.definition.fleet import Fleet
    from worker.fleet.simulation.recorded_trace import RecordedTrace
    from worker.fleet.simulation.study.study import Study

EXAMPLES = (
    "comfy-worker fleet simulate --trace trace.csv --fleet vast.toml",
    "comfy-worker fleet simulate --trace trace.csv --plot waits.svg",
    "comfy-worker fleet simulate --trace trace.csv --reading A --seeds 10",
    "comfy-worker fleet simulate --trace trace.csv --platform runpod",
)


def command(  # noqa: PLR0913 - one parameter an option
    *,
    trace: Annotated[Path, typer.Option(metavar="FILE", help="CSV file of `comfy-worker fleet trace`.")],
    file: Annotated[Path, typer.Option("--fleet", metavar="FILE", help="File that describes the fleet.")] = FILE,
    reading: Annotated[
        str | None, typer.Option(help="Reading of Vast's autoscaler: A, B, B', C or all, instead of the file's.")
    ] = None,
    platform: Annotated[str, typer.Option(help="Where the workers run: vast, runpod or modal.")] = "vast",
    gpu: Annotated[str | None, typer.Option(help="GPU of the workers, instead of the file's: L40S.")] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Runs of each reading.")] = 5,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Price file whose figures replace the shipped ones.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw the runs of the first seed, as .svg or .png.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show how long jobs would wait, and what it would cost.

    Vast's autoscaler is closed. It is simulated in several readings of what is public, and the output says where they
    differ. The table [simulation] of the fleet file has what is assumed of the workers. See docs/fleet.md.
    """
    from worker.cli.commands.fleet.study_output import check_plot, draw, print_study, study_dict

    if plot is not None:
        check_plot(plot)
    recorded = trace_in(trace)
    with reported_errors(file):
        fleet = fleet_to_plan(file)
    today = datetime.now(UTC).date()
    study = StudyOptions(platform, reading, gpu, seeds, prices).study(fleet, recorded)
    if plot is not None:
        draw(plot, study, recorded, f"{trace.name} on the fleet {fleet.endpoint.name} at {platform.capitalize()}")
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({**study_dict(study, today), "plot": str(plot) if plot else None})
    else:
        print_study(study, today)


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """What the options ask for."""

    platform: str
    reading: str | None
    gpu: str | None
    seeds: int
    prices: Path | None

    def study(self, fleet: Fleet, trace: RecordedTrace) -> Study:
        """Run the simulation. Raises UsageFailure and Failure."""
        from worker.cli.output.waiting import waiting
        from worker.fleet.simulation.study.billing import study_prices
        from worker.fleet.simulation.study.case import platform_names, study_cases, with_gpu
        from worker.fleet.simulation.study.study import run_study

        if self.gpu is not None:
            _check_gpu(self.gpu)
            fleet = with_gpu(fleet, self.gpu)
        readings = self.readings()
        try:
            cases = study_cases(fleet, trace.jobs, self.platform, readings)
        except KeyError as error:
            step = f"Choose one of {', '.join(platform_names())}."
            raise UsageFailure(f"--platform: {error} cannot be simulated", step) from error
        table = price_table(self.prices)
        with waiting(f"simulating {len(trace.jobs):,} jobs, {len(cases) * self.seeds} times"):
            return run_study(cases, study_prices(fleet, self.platform, table, datetime.now(UTC).date()), self.seeds)

    def readings(self) -> list[str]:
        """Return the letters of the readings, none for those of the fleet file. Raises UsageFailure."""
        from worker.fleet.simulation.study.case import READINGS

        if self.reading is None:
            return []
        letters = {letter.casefold(): letter for letter in READINGS}
        wanted = self.reading.casefold()
        if wanted != "all" and wanted not in letters:
            names = ", ".join(READINGS)
            raise UsageFailure(f"--reading: {self.reading!r} is no reading", f"Choose one of {names} and all.")
        return [*READINGS] if wanted == "all" else [letters[wanted]]


def _check_gpu(gpu: str) -> None:
    """Raise UsageFailure for a GPU of unknown speed."""
    from worker.load.gpu_classes import UNKNOWN, gpu_class

    if gpu_class(gpu) == UNKNOWN:
        step = "Write `gpu` and `speed` into the table [simulation] of the fleet file."
        raise UsageFailure(f"--gpu: {gpu!r} is no GPU whose speed is known", step)
