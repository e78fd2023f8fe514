"""Why a target needs what it needs: the times and prices that no parameter changes."""

from __future__ import annotations

from collections.abc import Iterator

from worker.fleet.advice.advice import Advice
from worker.fleet.advice.trial import TrialRunner
from worker.fleet.simulation.platform import BootTimes
from worker.prices.figure import HOUR_S, MONTH_S


def reasons(advice: Advice, runner: TrialRunner) -> list[str]:
    """Return sentences about what binds the choice, whether the target is reached or not."""
    space, candidate = runner.space, advice.checked.candidate
    boot = space.scenario(candidate, advice.checked.results[0].name).platform.boot
    return [*_start_reasons(advice, boot), *_price_reasons(advice, runner), *_size_reasons(advice, runner)]


def _start_reasons(advice: Advice, boot: BootTimes) -> Iterator[str]:
    """Yield how the starts of workers compare with the target."""
    if advice.target.wait is None:
        return
    limit_s = advice.target.wait.seconds
    new_s = boot.creating_s + boot.loading_s
    if new_s > limit_s:
        yield (
            f"A new worker is ready after {new_s:,.0f} s, which is longer than {limit_s:g} s: a job that waits for one"
            " is late. Workers have to exist before, stopped or running."
        )
    if boot.starting_s > limit_s:
        yield (
            f"A stopped worker is ready after {boot.starting_s:g} s, which is longer than {limit_s:g} s as well: only"
            " running workers help."
        )


def _price_reasons(advice: Advice, runner: TrialRunner) -> Iterator[str]:
    """Yield what one worker costs that always runs."""
    figures = {gpu: runner.prices(gpu).figure for gpu in advice.gpus}
    months = {gpu: figure.usd_hour * MONTH_S / HOUR_S for gpu, figure in figures.items() if figure is not None}
    gpu = min(months, key=lambda name: months[name])
    above = ""
    if advice.target.budget is not None and months[gpu] > advice.target.budget:
        above = f", more than the budget of ${advice.target.budget:,.6g}"
    yield f"One {gpu} that always runs costs ${months[gpu]:,.0f} a month{above}."


def _size_reasons(advice: Advice, runner: TrialRunner) -> Iterator[str]:
    """Yield how many workers the busiest time needs."""
    gpu = advice.checked.candidate.gpu
    peak, most = runner.space.peak_workers(gpu), runner.space.most_workers(gpu)
    workers = "1 worker" if peak == 1 else f"{peak} workers"
    yield f"The busiest 15 minutes have work for {workers} with one {gpu}. Up to {most} workers were tried."
