"""`comfy-worker handlers`: apps whose Python functions a worker serves."""

from __future__ import annotations

import typer

EXAMPLES = ("comfy-worker handlers install my-app",)


def command(context: typer.Context) -> None:
    """Prepare an app whose handlers a worker serves.

    A worker serves the functions in `handlers/*.py` of the app that WORKER_HANDLERS names.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
