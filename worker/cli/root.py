"""The command `comfy-worker` and the table of its commands."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated

import typer

from worker import __version__
from worker.errors import StartupError

COMMANDS = {
    "serve": "worker.cli.serve",
    "run": "worker.cli.run",
    "validate": "worker.cli.validate",
    "models": "worker.cli.models",
    "doctor": "worker.cli.doctor",
    "engine": "worker.cli.engine",
    "demo": "worker.cli.demo",
}


def main() -> None:
    """Only the named command's module is imported, so that `serve` starts quickly."""
    # Typer's pretty exceptions print local variables, keys and tokens among them.
    app = typer.Typer(
        help="Turns any rented GPU into a dependable ComfyUI endpoint.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_root)
    for name in [name for name in COMMANDS if name in sys.argv[1:2]] or list(COMMANDS):
        app.command(name)(import_module(COMMANDS[name]).command)
    try:
        app(prog_name="comfy-worker")
    except StartupError as error:
        sys.exit(f"comfy-worker: {error}")


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"comfy-worker {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_say_version, help="say which")] = False,
) -> None:
    """Nothing but the option: what there is to do, the commands do."""
