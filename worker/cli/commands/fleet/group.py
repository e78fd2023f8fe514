"""`comfy-worker fleet`: plans a fleet before anything is rented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from worker.fleet.definition.fleet import Fleet
    from worker.fleet.simulation.recorded_trace import RecordedTrace
    from worker.prices.table import PriceTable

EXAMPLES = (
    "comfy-worker fleet trace --pattern daily --out trace.csv",
    "comfy-worker fleet simulate --trace trace.csv --fleet vast.toml",
    'comfy-worker fleet advise --trace trace.csv --target "p95 wait 60 s"',
)


def command(context: typer.Context) -> None:
    """Plan a fleet before renting it.

    Needs no account, and changes nothing there. See docs/fleet.md.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def trace_in(file: Path) -> RecordedTrace:
    """Return the trace in a file. Raises Failure with the problems of the file."""
    from worker.cli.output.failure import Failure
    from worker.errors import Detail, TraceFileError
    from worker.fleet.simulation.recorded_trace import read_trace

    try:
        return read_trace(file)
    except TraceFileError as error:
        details = [Detail(str(problem)) for problem in error.problems]
        raise Failure(error.code, f"{file} is no trace", details) from error
    except OSError as error:
        raise Failure("file_unreadable", f"{file}: {(error.strerror or str(error)).lower()}") from error


@contextmanager
def written(file: Path) -> Iterator[None]:
    """Turn the error of a file that cannot be written into a failure of the command."""
    from worker.cli.output.failure import Failure

    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Failure("not_saved", f"{file} cannot be written: {reason}", step="Choose another file.") from error


def fleet_to_plan(file: Path) -> Fleet:
    """Return the fleet in a file, which needs neither an id nor an image yet. Raises FleetError and OSError."""
    from worker.cli.commands.deploy.group import UNNAMED
    from worker.fleet.definition.fleet_file import read_fleet
    from worker.fleet.definition.fleet_id import id_of, with_id

    text = file.read_text("utf-8")
    return read_fleet(text if id_of(text) else with_id(text, "not-deployed"), UNNAMED)


def price_table(file: Path | None) -> PriceTable:
    """Return the shipped prices with those of a file. Raises Failure with the problems of the file."""
    from worker.cli.output.failure import Failure
    from worker.errors import Detail, PriceFileError
    from worker.prices.price_file import load_prices

    try:
        return load_prices(file)
    except PriceFileError as error:
        details = [Detail(str(problem)) for problem in error.problems]
        raise Failure(error.code, f"{file} is not valid", details) from error
    except OSError as error:
        raise Failure("file_unreadable", f"{file}: {(error.strerror or str(error)).lower()}") from error
