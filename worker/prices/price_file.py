"""Reading price files: the one that is shipped, and one of the user that replaces some of its figures."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from worker.errors import PriceFileError, PriceProblem
from worker.prices.fields import FIELDS, GPU, RATES, FigureKey, gpu_fields
from worker.prices.figure import Figure, Unit
from worker.prices.figure_fields import read_figure, wrong_fields
from worker.prices.gpu_names import price_class
from worker.prices.table import PriceTable
from worker.workflow.nearest import did_you_mean

SHIPPED = Path(__file__).with_name("prices.toml")

Units = Mapping[str, tuple[Unit, ...]]
"""The figures of a table with the units that each of them can have."""


@lru_cache(maxsize=1)
def shipped_prices() -> PriceTable:
    """Return the prices that are shipped with the worker."""
    return PriceTable(read_prices(SHIPPED.read_text("utf-8")))


def load_prices(file: Path | None = None) -> PriceTable:
    """Return the shipped prices, with the figures of a file in the place of those that both have.

    Raises OSError when the file cannot be read, and PriceFileError with every problem of it.
    """
    if file is None:
        return shipped_prices()
    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise PriceFileError([PriceProblem("", "TOML", f"the file is not text in UTF-8: {error.reason}")]) from error
    return shipped_prices().merged(read_prices(text))


def read_prices(text: str) -> dict[FigureKey, Figure]:
    """Return the figures in the text of a price file. Raises PriceFileError with every problem of it."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PriceFileError([PriceProblem("", "TOML", str(error))]) from error
    figures: dict[FigureKey, Figure] = {}
    problems: list[PriceProblem] = []
    for key, found in _platforms(raw):
        if isinstance(found, PriceProblem):
            problems.append(found)
        elif key in figures:
            problems.append(PriceProblem(key.header, key.name, "is here twice, under two names of the GPU; keep one"))
        else:
            figures[key] = found
    if problems:
        raise PriceFileError(problems)
    return figures


Found = tuple[FigureKey, Figure | PriceProblem]
NOWHERE = FigureKey("", "", "")


def _platforms(raw: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the figures and problems of a whole file."""
    for platform, tables in raw.items():
        if platform not in FIELDS:
            yield NOWHERE, _unknown("", platform, FIELDS, "platform")
        elif not isinstance(tables, dict):
            yield NOWHERE, PriceProblem("", platform, f"has to be tables, such as [{platform}.gpu.L4]")
        else:
            yield from _tables(platform, tables)


def _tables(platform: str, tables: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the figures and problems of one platform."""
    for name, rows in tables.items():
        known = FIELDS[platform]
        if name != GPU and name not in known:
            yield NOWHERE, _unknown(platform, name, (GPU, *known), "table")
        elif not isinstance(rows, dict):
            yield NOWHERE, PriceProblem(platform, name, "has to be a table of figures")
        elif name == GPU:
            yield from _gpus(platform, rows)
        else:
            yield from _figures(FigureKey(platform, name, ""), rows, known[name])


def _gpus(platform: str, rows: Mapping[str, Any]) -> Iterator[Found]:
    """Yield the figures and problems of the GPUs of one platform. A GPU can have any of its names."""
    header = f"{platform}.{GPU}"
    for name, rates in rows.items():
        gpu = price_class(name, platform)
        if gpu is None:
            yield NOWHERE, _unknown(header, name, shipped_gpus(platform), "GPU")
        elif not isinstance(rates, dict):
            yield NOWHERE, PriceProblem(header, name, f"has to be a table with `{RATES[platform][0]}`")
        else:
            yield from _figures(FigureKey(platform, GPU, "", gpu), rates, gpu_fields(platform))


def shipped_gpus(platform: str) -> tuple[str, ...]:
    """Return the GPUs that the shipped file has for a platform, read without its checks."""
    return tuple(tomllib.loads(SHIPPED.read_text("utf-8"))[platform][GPU])


def _figures(place: FigureKey, rows: Mapping[str, Any], units: Units) -> Iterator[Found]:
    """Yield the figures and problems of one table, whose key without a name is `place`."""
    for name, row in rows.items():
        key = place._replace(name=name)
        if name not in units:
            yield key, _unknown(place.header, name, units)
            continue
        if not isinstance(row, dict):
            cure = f'{{ amount = ..., unit = "{units[name][0]}", source = "..." }}'
            yield key, PriceProblem(place.header, name, f"has to be a figure: {name} = {cure}")
            continue
        problems = [PriceProblem(place.header, name, text) for text in wrong_fields(row, units[name])]
        yield from ((key, problem) for problem in problems)
        if not problems:
            yield key, read_figure(row)


def _unknown(header: str, name: str, known: Iterable[str], kind: str = "figure") -> PriceProblem:
    """Return the problem of a name that is not known, with the nearest known one or all of them."""
    names = tuple(known)
    suggestion = did_you_mean(name, names) or f"Known: {', '.join(names)}."
    return PriceProblem(header, name, f"unknown {kind}. {suggestion}")
