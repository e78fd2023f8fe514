"""The command `comfy-worker` and the table of its commands."""

from __future__ import annotations

import sys
from importlib import import_module

import typer

from worker.errors import StartupError

COMMANDS = {
    "serve": "worker.cli.serve",
    "engine": "worker.cli.engine",
    "run": "worker.cli.run",
    "doctor": "worker.cli.doctor",
}


def main() -> None:
    """Only the named command's module is imported, so that `serve` starts quickly."""
    app = typer.Typer(help="Turns any rented GPU into a dependable ComfyUI endpoint.", no_args_is_help=True)
    named = [name for name in COMMANDS if name in sys.argv[1:2]] or list(COMMANDS)
    for name in named:
        app.command(name)(import_module(COMMANDS[name]).command)
    if len(named) == 1:
        app.callback()(lambda: None)
    try:
        app(prog_name="comfy-worker")
    except StartupError as error:
        sys.exit(f"comfy-worker: {error}")
