"""`comfy-worker handlers install`: the virtual environment of an app."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import Json

EXAMPLES = ("comfy-worker handlers install my-app", "comfy-worker handlers install my-app --python python3.12")


def command(
    app: Annotated[Path, typer.Argument(metavar="APP", help="Folder of the app.")],
    *,
    python: Annotated[str, typer.Option(help="Interpreter of the new environment, 3.10 or later.")] = "",
    as_json: Json = False,
) -> None:
    """Install the packages of an app into its own environment.

    Makes `.venv` in the folder of the app, or updates it, and installs `requirements.txt`. A worker runs the handlers
    of the app with it. The default interpreter is that of this command.
    """
    from worker.cli.output.json_output import print_json
    from worker.cli.output.waiting import waiting
    from worker.handlers.installation import install

    with waiting(f"installing the packages of {app}"):
        interpreter = install(app, python or sys.executable)
    if as_json:
        print_json({"app": str(app.absolute()), "python": str(interpreter)})
        return
    typer.echo(f"The handlers of {app} run with {interpreter}.")
