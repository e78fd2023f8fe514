"""`comfy-worker load import`: priors of other machines, for the worker of a state folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.commands.load.group import StateFolder, folder_of, read, written
from worker.cli.options import Json

EXAMPLES = ("comfy-worker load import rtx-4090.json", "comfy-worker load import rtx-4090.json --state .state --json")


def command(
    file: Annotated[Path, typer.Argument(help="File of `comfy-worker load export`.")],
    *,
    state: StateFolder = None,
    as_json: Json = False,
) -> None:
    """Give a worker what others have learned.

    Stop the worker first. What it has learned itself is kept.
    """
    from worker.jobs.learned_load import FILE, write_state
    from worker.jobs.state_lock import state_lock
    from worker.load.learning.learned_state import LearnedState
    from worker.load.learning.pooling import apply_priors

    priors, folder = read(file), folder_of(state)
    path = folder / FILE
    with written(path), state_lock(folder):
        own = read(path) if path.is_file() else LearnedState()
        merged = apply_priors(own, priors)
        write_state(path, merged)
    added = len(merged.shapes) - len(own.shapes)
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({"file": str(path), "shapes": len(merged.shapes), "added": added, "runs": priors.imported})
        return
    typer.echo(f"{path} has {added} new shapes of nodes, and {len(own.shapes)} that this worker has learned itself.")
