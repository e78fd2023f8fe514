"""`comfy-worker deploy init`: an id for a fleet file."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands.deploy.group import FILE, File, reported_errors
from worker.cli.options import Json

EXAMPLES = ("comfy-worker deploy init", "comfy-worker deploy init --new --file other.toml")


def command(
    *,
    new: Annotated[
        bool, typer.Option("--new", help="Replace the id, in a file that is a copy of another fleet's.")
    ] = False,
    file: File = FILE,
    as_json: Json = False,
) -> None:
    """Write an id into vast.toml.

    The id marks what belongs to this fleet in the account. It is random. Keep the file with its id in git. Without
    `--new` the id of a file is not replaced.
    """
    from worker.fleet.definition.fleet_id import id_of, new_id, with_id

    with reported_errors(file):
        text = file.read_bytes().decode("utf-8")
        previous = id_of(text)
        if previous and not new:
            fleet_id = previous
        else:
            fleet_id = new_id()
            file.write_bytes(with_id(text, fleet_id).encode("utf-8"))
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({"file": str(file), "id": fleet_id, "previous": previous or None})
    elif fleet_id == previous:
        typer.echo(f"{file} has the id {previous}, which was not replaced")
    else:
        typer.echo(f"{file} has the new id {fleet_id}")
        if previous:
            typer.echo(f"Endpoints, groups and templates with the id {previous} no longer belong to this file.")
