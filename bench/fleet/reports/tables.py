"""The tables about reports on the page."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence

from bench.fleet.reports.cases import READINGS, ReportCase
from bench.fleet.reports.regret import Regrets, Setting
from bench.fleet.reports.tuning import GOAL
from worker.fleet.simulation.mean_interval import MeanInterval

LOSES = 0.05
"""Regret from which the page says where a report loses."""


def notes(regrets: Regrets, default: str, pairs: Sequence[ReportCase]) -> list[str]:
    """Return all paragraphs and tables. `pairs` can be set at a worker, and `default` is the name of one of them."""
    return [
        _introduction(len(regrets.seeds)),
        "\n".join(_regret_table(regrets)),
        "The GPU hours behind it. The best of each row is bold.",
        "\n".join(_hours_table(regrets)),
        "What to set where the reading is known, and the median of the tuned parameters over patterns and seeds:",
        "\n".join(_advice_table(regrets, pairs)),
        f"Where the default ({default}) needs more than {LOSES:.0%} beyond the best report:",
        "\n".join(_losses(regrets, default)),
    ]


def _introduction(seeds: int) -> str:
    """Return how the tables are to be read."""
    return (
        f"GPU hours for the same p95 wait of {GOAL.seconds:.0f} s, in six hours with {seeds} seeds. `target_util`, and "
        "`target_queue_time` where the reading has it, are tuned for each cell. **Regret** is what a report needs "
        "beyond the best of all reports in that reading and pattern. The intervals are those of the mean over the "
        'seeds, at 95 %. "Not reached" means that no parameters keep the waits.'
    )


def percent(regret: MeanInterval) -> str:
    """Return a regret with its interval."""
    if math.isinf(regret.mean):
        return "not reached"
    return f"{regret.mean:.0%} ± {100 * (regret.high - regret.mean):.0f}"


def _regret_table(regrets: Regrets) -> Iterator[str]:
    """Yield the largest regret of each report in each reading."""
    yield from _head(["report", *(f"reading {letter}, worst pattern" for letter in READINGS.values()), "worst of all"])
    for case in regrets.best(list(regrets.cases.values())):
        cells = [percent(regrets.worst(case.name, reading)) for reading in READINGS]
        yield _row([case.name, *cells, percent(regrets.worst(case.name))])


def _hours_table(regrets: Regrets) -> Iterator[str]:
    """Yield the GPU hours of each report in each setting."""
    yield from _head(["reading, pattern", *regrets.cases])
    for setting in regrets.settings:
        yield _row([str(setting), *(_hours(regrets, setting, case) for case in regrets.cases)])


def _hours(regrets: Regrets, setting: Setting, case: str) -> str:
    """Return the GPU hours of a report with their interval."""
    hours = regrets.gpu_hours(setting, case)
    if math.isinf(hours.mean):
        return "not reached"
    text = f"{hours.mean:.1f} ± {hours.high - hours.mean:.1f}"
    return f"**{text}**" if case == regrets.cheapest(setting) else text


def _advice_table(regrets: Regrets, pairs: Sequence[ReportCase]) -> Iterator[str]:
    """Yield the best pair of settings for each reading."""
    yield from _head(["reading", "settings", "worst regret", "`target_util`", "`target_queue_time`"])
    for reading, letter in READINGS.items():
        case = regrets.best(pairs, reading)[0]
        fleets = [
            fleet
            for setting in regrets.settings
            if setting.reading is reading
            for fleet in regrets.fleets(setting, case.name)
            if math.isfinite(fleet.gpu_hours)
        ]
        util, queue_time = (
            f"{statistics.median(values):.3g}" if values else "-"
            for values in ([each.target_util for each in fleets], [each.target_queue_time for each in fleets])
        )
        queue_cell = "-" if letter == "A" else f"{queue_time} s"
        yield _row(
            [f"{letter} ({reading})", case.settings, percent(regrets.worst(case.name, reading)), util, queue_cell]
        )


def _losses(regrets: Regrets, default: str) -> Iterator[str]:
    """Yield a line for each setting in which the default loses."""
    for setting in regrets.settings:
        regret = regrets.regret(setting, default)
        if regret.mean > LOSES:
            yield f"- {setting}: {percent(regret)} more than {regrets.cheapest(setting)}."


def _head(cells: Sequence[str]) -> Iterator[str]:
    """Yield the head of a table."""
    yield _row(cells)
    yield "|" + "---|" * len(cells)


def _row(cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"
