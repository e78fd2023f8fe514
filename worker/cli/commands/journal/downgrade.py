"""`comfy-worker journal downgrade`: the way back to a worker of before v0.2.0."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.jobs.downgrade import downgrade
from worker.settings import Settings


def command(
    state: Annotated[Path | None, typer.Option(help="state folder; WORKER_STATE where it is left out")] = None,
) -> None:
    """Rewrite the journal for a worker of before v0.2.0, which reads no other one.

    Stop the worker first. The journal as it was is kept beside the new one.
    """
    done = downgrade(state.absolute() if state is not None else Settings.from_env().state)
    for left_out in done.left_out:
        typer.echo(f"left out: {left_out}", err=True)
    typer.echo(f"{done.jobs} jobs are written for a worker of before v0.2.0; the journal as it was is {done.kept_as}")
