"""What advice cannot know, and how sure it is: a sentence for each doubt, with a code for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worker.fleet.advice.advice import Advice
from worker.fleet.advice.trial import TrialRunner
from worker.fleet.definition.fleet import Fleet
from worker.fleet.simulation.arrivals import DAY
from worker.fleet.simulation.study.case import download_mbps, download_s, worker_gpu
from worker.prices.figure import Figure

WEEK_DAYS = 7.0
MONTH_DAYS = 30.0
FEW_IN_TAIL = 20
CLEARLY = 1.15
"""Ratio of two figures from which on readings count as different."""
IMAGE_GB = 20.0
"""Disk for the unpacked image and outputs, beside the models. An assumption."""
ASSUMED: Mapping[str, str] = {
    "create_s": "seconds until a machine is rented",
    "pull_s": "seconds to pull the image and load the models",
    "wake_s": "seconds until a stopped worker is ready",
    "failure_share": "share of new workers that fail",
}


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason for which the advice may be wrong. `code` is for programs."""

    code: str
    message: str


def doubts(advice: Advice, runner: TrialRunner) -> list[Doubt]:
    """Return the doubts about an advice, the most important ones first."""
    rows = (
        *_seed_doubts(advice),
        *_reading_doubts(advice),
        *_size_doubts(advice, runner),
        *_trace_doubts(advice, runner),
        *_boot_doubts(runner.space.fleet, runner.space.platform),
        *_price_doubts(advice, runner),
        *_search_doubts(advice, runner.space.fleet),
    )
    return [Doubt(code, message) for code, message in rows]


Rows = Iterator[tuple[str, str]]


def _seed_doubts(advice: Advice) -> Rows:
    """Yield the readings in which not every seed keeps the target."""
    for result in advice.checked.results:
        if 0 < result.kept < result.seeds:
            yield (
                "seeds",
                f"In {result.name}, {result.kept} of {result.seeds} seeds keep the target, and the others do not.",
            )
    if advice.checked.results[0].seeds < 3:
        yield "few_seeds", "There are fewer than 3 seeds, so the intervals say little. Use --seeds 5."


def _reading_doubts(advice: Advice) -> Rows:
    """Yield whether the readings disagree."""
    low, high = advice.checked.usd_range
    short, long = advice.checked.wait_range
    if len(advice.checked.results) > 1 and (high > CLEARLY * low or long > CLEARLY * short + 1):
        dollars, waits = f"${low:,.0f} to ${high:,.0f} a month", f"{_wait(short)} to {_wait(long)}"
        yield "readings", f"The readings disagree: {dollars}, and a {advice.target.quantile_name} wait of {waits}."


def _size_doubts(advice: Advice, runner: TrialRunner) -> Rows:
    """Yield what one worker means, which a quantile does not show."""
    space, candidate = runner.space, advice.checked.candidate
    if candidate.value(space.sizes[-1]) > 1:
        return
    boot = space.scenario(candidate, advice.checked.results[0].name).platform.boot
    minutes = (boot.creating_s + boot.loading_s) / 60
    grow = f"with {space.sizes[-1]} = 1, the fleet cannot grow if more jobs come than in the trace"
    fails = f"if its machine fails, jobs wait about {minutes:,.0f} minutes for another, which a quantile does not show"
    yield "one_worker", f"There is one worker: {grow}, and {fails}."


def _trace_doubts(advice: Advice, runner: TrialRunner) -> Rows:
    """Yield what the trace cannot show."""
    jobs = runner.space.jobs
    days = jobs[-1].at_s / DAY
    tail = math.floor(len(jobs) * (1 - advice.target.quantile) + 1e-9)
    few = ": too few to rely on" if tail < FEW_IN_TAIL else ""
    yield "tail", f"{tail} of {len(jobs):,} jobs wait longer than the {advice.target.quantile_name}{few}."
    if days < WEEK_DAYS * 0.95:
        reason = "it shows no difference between days of a week, and no busier week"
        length = f"{days:.1f} days" if days >= 1 else f"{days * 24:.1f} hours"
        yield "short_trace", f"The trace has {length}: {reason}. A month is {MONTH_DAYS / days:,.0f} times the trace."
    yield "arrivals", "Seeds differ in the starts, speeds and failures of workers. All have the arrivals of the trace."


def _boot_doubts(fleet: Fleet, platform: str) -> Rows:
    """Yield the times of workers that are assumptions."""
    table = fleet.simulation
    names = [f"{name} ({about})" for name, about in ASSUMED.items() if getattr(table, name) is None]
    if names:
        yield (
            "boot_assumed",
            f"Assumed, not measured: {', '.join(names)}. Measure them and write them into [simulation].",
        )
    seconds = download_s(fleet)
    if platform in DOWNLOADING and seconds:
        rate = f"{download_mbps(fleet):g} Mbit/s"
        source = "download_mbps of the file" if table.download_mbps else "a lower bound of the groups, or a default"
        yield (
            "download",
            f"A new worker downloads {table.models_gb:g} GB in {seconds / 60:.0f} minutes at {rate} ({source}).",
        )
    elif not table.models_gb:
        yield (
            "models_unknown",
            "models_gb is 0: if pull_s does not include your models, write their GB into [simulation].",
        )
    if table.models_gb + IMAGE_GB > fleet.template.disk_gb:
        yield (
            "disk",
            f"disk_gb = {fleet.template.disk_gb:g} is too small for {table.models_gb:g} GB of models and the image.",
        )


DOWNLOADING = frozenset({"vast"})
"""Platforms whose new workers download the models. Elsewhere they are on a volume."""


def _price_doubts(advice: Advice, runner: TrialRunner) -> Rows:
    """Yield what is not known of the prices."""
    gpu = advice.checked.candidate.gpu
    figure = runner.prices(gpu).figure
    if figure is not None:
        yield from _figure_doubts(figure, gpu, advice, runner)
    unpriced = dict.fromkeys(name for runs in advice.checked.trials.values() for run in runs for name in run.unpriced)
    if unpriced:
        size = f"{runner.space.fleet.template.disk_gb:g} GB of disk for each worker, running or stopped"
        about = f" ({size})" if "storage" in unpriced else ""
        yield "unpriced", f"The dollars lack {' and '.join(unpriced)}{about}: no price is known. Add one with --prices."
    for name in advice.unpriced_gpus:
        yield "gpu_unpriced", f"{name} was not compared: it has no price at {runner.space.platform.capitalize()}."


def _figure_doubts(figure: Figure, gpu: str, advice: Advice, runner: TrialRunner) -> Rows:
    """Yield whether the price of a GPU is old, or one of a wide range."""
    if figure.is_stale(runner.today):
        dated = f"of {figure.date}, over 90 days old" if figure.date else "of an unknown date"
        yield "price_stale", f"The price of an {gpu}, ${figure.usd_hour:.3g} an hour, is {dated}. Check it before use."
    if gpu == worker_gpu(runner.space.fleet) and runner.space.fleet.simulation.usd_hour is not None:
        return
    low, high = runner.table.gpu_range(runner.space.platform, gpu)
    if high.usd_hour > CLEARLY * low.usd_hour:
        ends = [advice.checked.usd_range[1] * end.usd_hour / figure.usd_hour for end in (low, high)]
        hour = f"between ${low.usd_hour:.3g} and ${high.usd_hour:.3g} an hour"
        yield "price_range", f"Hosts ask {hour}: ${ends[0]:,.0f} to ${ends[1]:,.0f} a month in the dearest reading."


def _search_doubts(advice: Advice, fleet: Fleet) -> Rows:
    """Yield the limits of the search."""
    others = [name for name, group in fleet.groups.items() if advice.checked.candidate.gpu not in group.gpus]
    if others and len(others) < len(fleet.groups):
        names = ", ".join(others)
        yield "groups", f"All workers have one GPU here. The file's other groups ({names}) can rent others as well."
    yield "local", f"The search changed one parameter at a time, in {advice.runs} runs: a cheaper choice may exist."


def _wait(seconds: float) -> str:
    """Return a wait for people."""
    return f"{seconds:.1f} s" if math.isfinite(seconds) else "never"
