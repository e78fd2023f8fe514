"""The output of a study: a table for people, an object for programs, and a picture."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from worker.cli.usage import UsageFailure
from worker.fleet.simulation.study.figures import FIGURES, differences, interval_text

if TYPE_CHECKING:
    from worker.fleet.simulation.recorded_trace import RecordedTrace
    from worker.fleet.simulation.study.study import Study


def study_dict(study: Study, today: datetime.date) -> dict[str, Any]:
    """Return a study for JSON. An infinite wait is null."""
    figure = study.prices.figure
    price = None
    if figure is not None:
        stale = figure.is_stale(today)
        price = {"usd_hour": figure.usd_hour, "source": figure.source, "date": figure.date, "stale": stale}
    cases = [
        {
            "name": result.case.name,
            "about": result.case.about,
            "platform": result.case.platform,
            "seeds": len(result.runs),
            "jobs": result.runs[0].jobs,
            "figures": {key: asdict(interval) if interval else None for key, interval in result.figures.items()},
        }
        for result in study.results
    ]
    shared = {"gpu": study.prices.gpu, "price": price, "unpriced": [*study.unpriced]}
    return {**shared, "cases": cases, "differences": [*differences(study.figures)]}


def print_study(study: Study, today: datetime.date) -> None:
    """Print a table with a column for each case, what it was made from, and where the cases differ."""
    from rich.table import Table
    from rich.text import Text

    from worker.cli.output.screen import screen

    console, results = screen(), study.results
    for result in results:
        console.print(Text(f"{result.case.name}  {result.case.about}", "dim"), soft_wrap=True)
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="bold")
    table.add_column("")
    for result in results:
        table.add_column(Text(result.case.name), justify="right")
    for spec in FIGURES:
        table.add_row(spec.label, *(Text(interval_text(spec, result.figures[spec.key])) for result in results))
    console.print(table)
    for line in _notes(study, today):
        console.print(Text(line), soft_wrap=True)


def _notes(study: Study, today: datetime.date) -> Iterator[str]:
    """Yield what the figures rest on, and where the cases differ."""
    prices, runs = study.prices, study.results[0].runs
    seeds = f"mean and 95 % interval of {len(runs)} seeds" if len(runs) > 1 else "one seed, so there are no intervals"
    yield f"{runs[0].jobs:,} jobs on workers with one {prices.gpu}: {seeds}."
    if prices.figure is None:
        yield f"There is no cost: {prices.problem}"
    else:
        amount, figure = prices.figure.usd_hour, prices.figure
        dated = f"{figure.date or 'date unknown'}{', over 90 days old' if figure.is_stale(today) else ''}"
        yield f"A GPU hour costs ${amount:.3g} ({dated}; {figure.source})."
    if study.unpriced:
        yield f"The cost lacks {' and '.join(study.unpriced)}, for which no price is known."
    if len(study.results) < 2:
        return
    found = [*differences(study.figures)]
    names = ", ".join(result.case.name for result in study.results)
    yield f"{names} differ in:" if found else f"{names} agree in all figures."
    yield from (f"  {line}" for line in found)


def check_plot(file: Path) -> None:
    """Raise UsageFailure for a file that is no SVG or PNG, and ModuleNotFoundError without matplotlib."""
    from worker.fleet.simulation.study.plot import FORMATS, require_matplotlib

    if file.suffix.lstrip(".").casefold() not in FORMATS:
        raise UsageFailure(f"--plot: {file} is neither .svg nor .png", "Name a file such as waits.svg.")
    require_matplotlib()


def draw(file: Path, study: Study, trace: RecordedTrace, title: str) -> None:
    """Draw the runs of the first seed into a file. Raises Failure."""
    from worker.cli.commands.fleet.group import written
    from worker.cli.output.waiting import waiting
    from worker.fleet.simulation.study.plot import drawn
    from worker.fleet.simulation.study.series import series_of

    with waiting("drawing"):
        runs = [series_of(result) for result in study.results]
        picture = drawn(runs, title, file.suffix.lstrip(".").casefold(), trace.start)
    with written(file):
        file.write_bytes(picture)
    typer.echo(f"Written to {file}.", err=True)
