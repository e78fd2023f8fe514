"""`comfy-worker deploy snapshot`: what the account holds of the fleet, in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, told


def command(
    *,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="where to, instead of standard output")] = None,
    file: File = FILE,
    server_url: Server = None,
) -> None:
    """Print what the account holds, to plan without a key.

    Only of this fleet, and without secrets: it may lie in a public repository.
    """
    import orjson

    from worker.fleet.plan.snapshot import dump

    with told():
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as found:
            held = dump(fleet, found.read())
        text = orjson.dumps(held, option=orjson.OPT_INDENT_2).decode()
        if out:
            out.write_text(f"{text}\n", "utf-8")
        else:
            typer.echo(text)
