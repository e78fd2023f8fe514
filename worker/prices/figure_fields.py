"""The fields of one figure in a price file: what is wrong with them, and the figure that they are."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from worker.prices.figure import DATE, Figure, Unit
from worker.workflow.nearest import did_you_mean

REQUIRED = ("amount", "unit", "source")
KNOWN = (*REQUIRED, "date")
SOURCE_CURE = 'write where the price is from, such as source = "our contract"'


def read_figure(row: Mapping[str, Any]) -> Figure:
    """Return the figure of a row of which `wrong_fields` yields nothing."""
    return Figure(float(row["amount"]), Unit(row["unit"]), row["source"].strip(), str(row.get("date", "")))


def wrong_fields(row: Mapping[str, Any], units: Iterable[Unit]) -> Iterator[str]:
    """Yield a message, with the cure, for each field of a figure that is missing, unknown or wrong."""
    choice = " or ".join(f'"{unit}"' for unit in units)
    cures = {"amount": "write the price", "unit": f"write unit = {choice}", "source": SOURCE_CURE}
    for name in REQUIRED:
        if name not in row:
            yield f"`{name}` is missing; {cures[name]}"
    for name, value in row.items():
        if name not in KNOWN:
            suggestion = did_you_mean(name, KNOWN) or f"Known: {', '.join(KNOWN)}."
            yield f"unknown field `{name}`. {suggestion}"
        elif name == "unit":
            if value not in tuple(units):
                yield f"`unit` is {value!r}; {cures[name]}"
        else:
            yield from _wrong_value(name, value)


def _wrong_value(name: str, value: object) -> Iterator[str]:
    """Yield a message if an amount, a source or a date is not valid."""
    if name == "amount" and not _is_amount(value):
        yield f"`amount` is {value!r}, and has to be a number of at least 0"
    if name == "source" and not (isinstance(value, str) and value.strip()):
        yield f"`source` is empty; {SOURCE_CURE}"
    if name == "date" and not _is_date(value):
        yield f"`date` is {str(value)!r}; write a day (2026-05-28) or a month (2026-05), or leave it out"


def _is_amount(value: object) -> bool:
    """Return whether a value is a number of at least 0."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _is_date(value: object) -> bool:
    """Return whether a value is an ISO date or month, as text or as a date of TOML."""
    text = str(value)
    if not DATE.fullmatch(text):
        return False
    try:
        datetime.date.fromisoformat(text if len(text) > len("2026-05") else f"{text}-01")
    except ValueError:
        return False
    return True
