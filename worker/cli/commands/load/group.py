"""`comfy-worker load`: what this machine has learned about the seconds of jobs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.options import Json

if TYPE_CHECKING:
    from worker.load.learning.branches import Branch
    from worker.load.learning.learned_state import LearnedState

EXAMPLES = ("comfy-worker load", "comfy-worker load --state .state --json")

StateFolder = Annotated[Path | None, typer.Option("--state", help="State folder, instead of WORKER_STATE.")]


def command(context: typer.Context, *, state: StateFolder = None, as_json: Json = False) -> None:
    """Show what was learned about the seconds of jobs.

    For each kind of node and each model family: the number of runs, and how much longer they took than the closed form
    predicts without learning. The worker stores what it learns every minute. See docs/load.md.
    """
    if context.invoked_subcommand is not None:
        return
    from worker.load.learning.branches import branches
    from worker.load.learning.load_times import LOADS, assumed_bytes_per_s

    learned = learned_in(folder_of(state))
    rows = branches(learned)
    engines = {name: math.exp(effect.mean) for name, effect in learned.machines.items()}
    speeds = {
        name: assumed_bytes_per_s(load) / math.exp(learned.tiers[name].mean)
        for name, load in LOADS.items()
        if name in learned.tiers
    }
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({"nodes": [row.as_dict() for row in rows], "engines": engines, "bytes_per_s": speeds})
        return
    _print_table(rows)
    for name, factor in engines.items():
        typer.echo(f"{name} takes {factor:.2f} times as long as its GPU class.")
    for load, speed in speeds.items():
        tier, part = load.replace("_", " ").split("/")
        typer.echo(f"A {part} loads from {tier} at {speed / 1e9:.1f} GB/s.")


def folder_of(state: Path | None) -> Path:
    """Return the state folder that an option names, or that of the settings."""
    from worker.settings import Settings

    return state.absolute() if state is not None else Settings.from_env().state


def learned_in(folder: Path) -> LearnedState:
    """Return what is stored in a state folder. Raises Failure if it has nothing, or cannot be read."""
    from worker.cli.output.failure import Failure
    from worker.jobs.learned_load import FILE

    path = folder / FILE
    if not path.is_file():
        raise Failure("nothing_learned", f"no worker has stored what it learned in {folder}: there is no {FILE}")
    return read(path)


def read(path: Path) -> LearnedState:
    """Return the learned state in a file. Raises Failure if it cannot be read."""
    from worker.cli.output.failure import Failure
    from worker.errors import LearnedStateError
    from worker.jobs.learned_load import read_state

    try:
        return read_state(path)
    except OSError as error:
        raise Failure("file_unreadable", f"{path}: {(error.strerror or str(error)).lower()}") from error
    except LearnedStateError as error:
        raise Failure("load_invalid", f"{path} has no learned load: {error}") from error


@contextmanager
def written(path: Path) -> Iterator[None]:
    """Turn the error of a file that cannot be written into a failure of the command."""
    from worker.cli.output.failure import Failure

    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise Failure("file_unreadable", f"{path} cannot be written: {reason}") from error


def _print_table(rows: Iterable[Branch]) -> None:
    """Print one line for each branch."""
    from rich.text import Text

    from worker.cli.output.rows import print_rows
    from worker.cli.output.screen import screen

    header = ("GPU", "NODES", "FAMILY", "PRECISION", "RUNS", "TIMES THE CLOSED FORM")
    cells = [
        (row.root, row.kind, row.family, row.precision, f"{row.runs:.0f}", f"{row.factor:.2f} ± {row.noise:.0%}")
        for row in rows
    ]
    print_rows(screen(), [[Text(cell or "-") for cell in line] for line in (header, *cells)])
