"""`comfy-worker journal downgrade`: a journal for a worker that is older than v0.2.0."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import Json
from worker.cli.output.json_output import print_json
from worker.jobs.downgrade import downgrade
from worker.settings import Settings

EXAMPLES = ("comfy-worker journal downgrade", "comfy-worker journal downgrade --state .state --json")


def command(
    state: Annotated[Path | None, typer.Option(help="State folder, instead of WORKER_STATE.")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Rewrite the journal for a worker older than v0.2.0.

    Stop the worker first. The old journal is kept beside the new one.
    """
    result = downgrade(state.absolute() if state is not None else Settings.from_env().state)
    if as_json:
        print_json({"jobs": result.jobs, "left_out": result.left_out, "kept_as": str(result.kept_as)})
        return
    for sentence in result.left_out:
        typer.echo(f"left out: {sentence}", err=True)
    typer.echo(f"The journal has {result.jobs} jobs for a worker older than v0.2.0.")
    typer.echo(f"The old journal is kept as {result.kept_as}.")
