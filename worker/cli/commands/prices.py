"""`comfy-worker prices`: the price table, and the offers at Vast."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.commands.deploy.group import Server
from worker.cli.options import Json

if TYPE_CHECKING:
    from worker.prices.fields import FigureKey
    from worker.prices.figure import Figure
    from worker.prices.offers import OfferSummary
    from worker.prices.table import PriceTable

EXAMPLES = (
    "comfy-worker prices",
    "comfy-worker prices --file our-prices.toml",
    "comfy-worker prices --live --json",
)


def command(
    *,
    live: Annotated[
        bool, typer.Option("--live", help="Also ask Vast for its offers. Needs the API key in VAST_API_KEY.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Price file whose figures replace those of the worker.")
    ] = None,
    as_json: Json = False,
    server_url: Server = None,
) -> None:
    """Show what Vast, RunPod and Modal charge.

    Each price has its source and date. A price that is older than 90 days, or has no date, is marked. See
    docs/prices.md.

    Exit code 1: the file cannot be read or has problems, or with --live there is no API key or Vast rejects the search.
    """
    table = _table(file)
    summaries = _live(server_url) if live else None
    today = datetime.datetime.now(datetime.UTC).date()
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json(_as_dict(table, summaries, today))
        return
    _print_table(table, today)
    if summaries is not None:
        _print_offers(summaries)


def _table(file: Path | None) -> PriceTable:
    """Return the prices, with those of a file. Raises Failure if it cannot be read or has problems."""
    from worker.cli.output.failure import Failure
    from worker.errors import Detail, PriceFileError
    from worker.prices.price_file import load_prices

    try:
        return load_prices(file)
    except PriceFileError as error:
        details = [Detail(str(problem)) for problem in error.problems]
        raise Failure(error.code, f"{file} is not a valid price file", details) from error
    except OSError as error:
        raise Failure("file_unreadable", f"{file}: {(error.strerror or str(error)).lower()}") from error


def _live(server_url: str | None) -> tuple[OfferSummary, ...]:
    """Return the prices of Vast's offers. Raises Failure without a key, and when Vast rejects the search."""
    from worker.cli.commands.deploy.group import account, reported_errors
    from worker.cli.output.waiting import waiting
    from worker.prices.offers import summarize

    with reported_errors(), account(server_url) as vast, waiting("asking Vast for offers"):
        return summarize(vast.offers())


def _as_dict(table: PriceTable, summaries: Sequence[OfferSummary] | None, today: datetime.date) -> dict[str, Any]:
    """Return the object of `--json`. `offers` is null without `--live`."""
    from dataclasses import asdict

    offers = None if summaries is None else [asdict(summary) for summary in summaries]
    return {"today": today.isoformat(), "figures": [_figure_dict(*row, today) for row in table], "offers": offers}


def _figure_dict(key: FigureKey, figure: Figure, today: datetime.date) -> dict[str, Any]:
    """Return a figure as JSON. `gpu` and `usd_hour` are null for what is not the price of a GPU, `date` if unknown."""
    return {
        "platform": key.platform,
        "table": key.table,
        "gpu": key.gpu or None,
        "name": key.name,
        "amount": figure.amount,
        "unit": figure.unit.value,
        "usd_hour": round(figure.usd_hour, 6) if key.gpu else None,
        "source": figure.source,
        "date": figure.date or None,
        "stale": figure.is_stale(today),
    }


def _print_table(table: PriceTable, today: datetime.date) -> None:
    """Print one line for each figure, and how many of them are old."""
    header = ("PLATFORM", "PRICE", "AMOUNT", "UNIT", "$/HOUR", "SOURCE")
    _print([header, *_lines(table, today)])
    old = sum(figure.is_stale(today) for _, figure in table)
    if old:
        typer.echo(
            f"{old} of {len(table.figures)} figures are over 90 days old or have no date: check them before use."
        )


def _lines(table: PriceTable, today: datetime.date) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each figure."""
    for key, figure in table:
        hour = f"{figure.usd_hour:.3f}" if key.gpu else ""
        yield key.platform, key.label, figure.text(today), figure.unit.value, hour, figure.source


def _print_offers(summaries: Sequence[OfferSummary]) -> None:
    """Print one line for each GPU that Vast offers."""
    typer.echo("")
    if not summaries:
        typer.echo("Vast has no offers of machines with one GPU.")
        return
    typer.echo("Vast's offers of machines with one GPU now, in $ an hour with 5 GB of storage:")
    header = (
        "GPU",
        "OFFERS",
        "LOWER QUARTILE",
        "MEDIAN",
        "UPPER QUARTILE",
        "STORAGE $/GB-MONTH",
        "DOWNLOAD $/GB",
        "UPLOAD $/GB",
    )
    rows = [
        (
            *(row.gpu, str(row.count)),
            *(f"{price:.3f}" for price in (row.lower_quartile, row.median, row.upper_quartile)),
            *(_price(price) for price in (row.storage_usd_gb_month, row.download_usd_gb, row.upload_usd_gb)),
        )
        for row in summaries
    ]
    _print([header, *rows])


def _price(price: float | None) -> str:
    """Return a price that may not be known."""
    return "-" if price is None else f"{price:.4f}"


def _print(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns."""
    from rich.text import Text

    from worker.cli.output.rows import print_rows
    from worker.cli.output.screen import screen

    print_rows(screen(), [[Text(cell) for cell in row] for row in rows])
