"""`comfy-worker modal init`: an existing Modal app on the image of comfy-worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from worker.cli.options import Json

EXAMPLES = ("comfy-worker modal init my-app", "comfy-worker modal init my-app --out migrated")
UNMAPPED, CHANGE = "not mapped", "change"
"""Beginnings of rows that need work."""


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
    call the same handlers. Prints what becomes of each part, what you have to change, and what has no counterpart. A
    method without one raises NotImplementedError in the new app, and the exit status is 1.
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
    todo = {start: sum(target.startswith(start) for _, target in rows) for start in (CHANGE, UNMAPPED)}
    if as_json:
        print_json({"app": text, "mapping": rows, "folder": str(out) if out else None, "unmapped": todo[UNMAPPED]})
    else:
        _show(text, rows, todo, out)
    if todo[UNMAPPED]:
        raise typer.Exit(1)


def _show(text: str, rows: Sequence[tuple[str, str]], todo: Mapping[str, int], out: Path | None) -> None:
    """Print the new app without a folder for it, the table with what needs work at its end, and what to do next."""
    if not out:
        typer.echo(text, nl=False)
    width = max(len(name) for name, _ in rows)
    for name, target in sorted(rows, key=lambda row: (row[1].startswith(UNMAPPED), row[1].startswith(CHANGE))):
        typer.echo(f"{name:{width}}  {target}", err=not out)
    typer.echo(f"\n{todo[UNMAPPED]} not mapped, {todo[CHANGE]} to change: docs/migrate-from-modal.md", err=not out)
    if out and not todo[UNMAPPED]:
        typer.echo(f"Deploy it with `modal deploy {out / 'app.py'}`: docs/modal.md")
