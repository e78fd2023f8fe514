"""`comfy-worker load export`: what machines of one GPU class have learned, as priors for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.load.group import folder_of, learned_in, written
from worker.cli.options import Json

if TYPE_CHECKING:
    from worker.load.learning.learned_state import LearnedState

EXAMPLES = (
    "comfy-worker load export rtx-4090.json",
    "comfy-worker load export rtx-4090.json --state one --state two",
    "comfy-worker load export h100.json --state .state --gpu H100 --json",
)


def command(
    file: Annotated[Path, typer.Argument(help="File to write.")],
    *,
    states: Annotated[
        list[Path] | None,
        typer.Option("--state", help="State folder, instead of WORKER_STATE. Several folders are merged."),
    ] = None,
    gpu: Annotated[
        str | None, typer.Option(help="GPU class to export, if the state folders have several: RTX 4090.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write what machines with one GPU have learned.

    Workers with GPUs of the same class start with it: set WORKER_LOAD_PRIORS to the file, or run `comfy-worker load
    import`. The speed of each single machine is not part of it.

    Exit code 1: nothing was learned, or GPUs of several classes have learned.
    """
    from worker.jobs.learned_load import write_state

    folders: list[Path | None] = [*states] if states else [None]
    priors = _pooled(folders, gpu)
    with written(file):
        write_state(file, priors)
    ((name, runs),) = priors.imported.items()
    if as_json:
        from worker.cli.output.json_output import print_json

        counts = {"machines": len(folders), "shapes": len(priors.shapes), "runs": runs}
        print_json({"file": str(file), "gpu": name, **counts})
        return
    typer.echo(f"{file} has {len(priors.shapes)} shapes of nodes, from {runs:.0f} runs on {name}.")
    typer.echo(f"Set WORKER_LOAD_PRIORS={file} for workers with this GPU.")


def _pooled(folders: list[Path | None], gpu: str | None) -> LearnedState:
    """Return the priors from state folders. None stands for that of the settings. Raises Failure."""
    from worker.cli.output.failure import Failure
    from worker.errors import MixedClassesError
    from worker.load.learning.pooling import of_class, pool

    learned = [learned_in(folder_of(folder)) for folder in folders]
    if gpu is not None:
        learned = [of_class(state, gpu) for state in learned]
    try:
        return pool(learned)
    except MixedClassesError as error:
        raise Failure("mixed_gpu_classes", str(error)) from error
