"""`comfy-worker deploy init`: an id for a fleet file."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands.deploy.group import FILE, File, told


def command(
    *,
    new: Annotated[bool, typer.Option("--new", help="replace the id of a copied file")] = False,
    file: File = FILE,
) -> None:
    """Write an id into vast.toml.

    The id marks what this fleet owns in the account. It is made at random, once: keep it in git with the file. Without
    `--new` a file that has one is not changed.
    """
    from worker.fleet.definition.fleet_id import id_of, new_id, with_id

    with told():
        text = file.read_bytes().decode("utf-8")
        before = id_of(text)
        if before and not new:
            typer.echo(f"{file} has an id: {before}")
            return
        fleet_id = new_id()
        file.write_bytes(with_id(text, fleet_id).encode("utf-8"))
    typer.echo(f'{file}: id = "{fleet_id}"')
    if before:
        typer.echo(f"what has the mark {before} in the account is no longer this file's")
