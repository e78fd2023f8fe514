"""`comfy-worker journal`: the job journal of a state folder."""

from __future__ import annotations

import typer

EXAMPLES = ("comfy-worker journal downgrade --state .state",)


def command(context: typer.Context) -> None:
    """Convert the job journal of a state folder.

    v0.2.0 and later releases read each other's state folders, and need no conversion.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
