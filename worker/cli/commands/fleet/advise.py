"""`comfy-worker fleet advise`: the cheapest parameters of a fleet with which jobs wait as short as wanted."""

from __future__ import annotations

from collections.abc import Sequence
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
    from worker.fleet.advice.advice import Advice
    from worker.fleet.advice.target import AdviceTarget
    from worker.fleet.advice.trial import TrialRunner
    from worker.fleet.definition.fleet import Fleet
    from worker.fleet.simulation.recorded_trace import RecordedTrace

EXAMPLES = (
    'comfy-worker fleet advise --trace trace.csv --target "p95 wait 60 s"',
    "comfy-worker fleet advise --trace trace.csv --budget 300",
    'comfy-worker fleet advise --trace t.csv --gpu L40S --target "p50 wait 5 s"',
)
TARGET_HELP = 'Longest wait: "p95 wait 60 s", with p50, p90, p95 or p99, in s or min.'


def command(  # noqa: PLR0913 - one parameter an option
    *,
    trace: Annotated[Path, typer.Option(metavar="FILE", help="CSV file of `comfy-worker fleet trace`.")],
    file: Annotated[Path, typer.Option("--fleet", metavar="FILE", help="File that describes the fleet.")] = FILE,
    target: Annotated[str | None, typer.Option(metavar="TEXT", help=TARGET_HELP)] = None,
    budget: Annotated[str | None, typer.Option(metavar="USD", help="Most dollars in a month of 30 days.")] = None,
    platform: Annotated[str, typer.Option(help="Where the workers run: vast, runpod or modal.")] = "vast",
    gpus: Annotated[
        list[str] | None, typer.Option("--gpu", metavar="NAME", help="Compare this GPU instead. Repeatable.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=100, help="Runs of each reading behind the figures.")] = 5,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Price file whose figures replace the shipped ones.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the cheapest parameters that keep a target.

    Needs --target, --budget or both. Simulates many parameters, in all readings of Vast's closed autoscaler, and prints
    what to write into the fleet file, and how sure that is. Writes no file. Exits with 1 if nothing keeps the target.
    """
    from worker.cli.commands.fleet.advice_output import advice_dict, print_advice

    wanted = _target(target, budget)
    recorded = trace_in(trace)
    with reported_errors(file):
        fleet = fleet_to_plan(file)
    runner, advice = _Question(platform, gpus or (), seeds, prices).answer(fleet, recorded, wanted)
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json(advice_dict(advice, runner))
    else:
        print_advice(advice, runner)
    if not advice.is_reached:
        raise typer.Exit(1)


def _target(target: str | None, budget: str | None) -> AdviceTarget:
    """Return what has to be reached. Raises UsageFailure and Failure."""
    from worker.cli.output.failure import Failure
    from worker.errors import TargetInvalid
    from worker.fleet.advice.target import AdviceTarget, read_budget, read_target

    if target is None and budget is None:
        step = 'Add --target "p95 wait 60 s", or --budget 300, which are dollars a month.'
        raise UsageFailure("there is no target", step)
    try:
        wait = read_target(target) if target is not None else None
        return AdviceTarget.of(wait, read_budget(budget) if budget is not None else None)
    except TargetInvalid as error:
        raise Failure(error.code, str(error), exit_code=2) from error


@dataclass(frozen=True, slots=True)
class _Question:
    """What the options ask for, beside the target."""

    platform: str
    gpus: Sequence[str]
    seeds: int
    prices: Path | None

    def answer(self, fleet: Fleet, trace: RecordedTrace, target: AdviceTarget) -> tuple[TrialRunner, Advice]:
        """Search the advice. Raises UsageFailure and Failure."""
        from worker.cli.output.failure import Failure
        from worker.cli.output.waiting import waiting
        from worker.errors import UnknownPrice
        from worker.fleet.advice.advice import advise
        from worker.fleet.advice.gpu_choice import gpus_to_compare
        from worker.fleet.advice.spaces.spaces import SPACES, search_space
        from worker.fleet.advice.trial import TrialRunner

        for gpu in self.gpus:
            _check_gpu(gpu)
        try:
            space = search_space(self.platform, fleet, trace.jobs)
        except KeyError as error:
            step = f"Choose one of {', '.join(SPACES)}."
            raise UsageFailure(f"--platform: {error} cannot be simulated", step) from error
        runner = TrialRunner(space, target, price_table(self.prices), datetime.now(UTC).date())
        gpus = self.gpus or gpus_to_compare(fleet, self.platform, runner.table)
        with waiting(f"simulating {len(trace.jobs):,} jobs") as shown:
            try:
                return runner, advise(
                    runner,
                    list(dict.fromkeys(gpus)),
                    self.seeds,
                    lambda runs: shown.update(f"simulating {len(trace.jobs):,} jobs: {runs} runs"),
                )
            except UnknownPrice as error:
                raise Failure(error.code, str(error)) from error


def _check_gpu(gpu: str) -> None:
    """Raise UsageFailure for a GPU of unknown speed."""
    from worker.load.gpu_classes import UNKNOWN, gpu_class

    if gpu_class(gpu) == UNKNOWN:
        step = "Write `gpu` and `speed` into the table [simulation] of the fleet file."
        raise UsageFailure(f"--gpu: {gpu!r} is no GPU whose speed is known", step)
