"""`comfy-worker journal`: the record of jobs in the state folder."""

from __future__ import annotations

import typer


def command(context: typer.Context) -> None:
    """Convert the record of jobs in a state folder.

    Going back to the release before needs no command: v0.2.0 and later read each other's state folders.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
