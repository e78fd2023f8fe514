"""`comfy-worker modal init`: an existing Modal app on the image of comfy-worker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import Json

EXAMPLES = ("comfy-worker modal init my-app", "comfy-worker modal init my-app --out migrated")
UNMAPPED = "not mapped"


def command(
    app: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the app, with `app.py` and `handlers/`.")],
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="NEW", help="New folder to write, instead of printing the new app.py.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Move a Modal app to this image.

    Reads the app without running it, and writes an app with the same classes, methods and signatures, whose methods
    call the same handlers. Prints what becomes of each part, and what has no counterpart.
    """
    from worker.cli.output.failure import Failure
    from worker.cli.output.json_output import print_json
    from worker.errors import MigrationError
    from worker.platforms.modal.migration.app_folder import write_folder
    from worker.platforms.modal.migration.app_source import read_app
    from worker.platforms.modal.migration.app_writer import mapping, new_app

    try:
        source = read_app(app)
        text, rows = new_app(source), mapping(source)
        if out:
            write_folder(source, text, out)
    except MigrationError as error:
        raise Failure(error.code, str(error)) from error
    if as_json:
        print_json({"app": text, "mapping": rows, "folder": str(out) if out else None})
        return
    if not out:
        typer.echo(text, nl=False)
    width = max(len(name) for name, _ in rows)
    for name, target in sorted(rows, key=lambda row: row[1].startswith(UNMAPPED)):
        typer.echo(f"{name:{width}}  {target}", err=not out)
    if out:
        typer.echo(f"\nDeploy it with `modal deploy {out / 'app.py'}`: docs/modal.md")
