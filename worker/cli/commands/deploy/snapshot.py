"""`comfy-worker deploy snapshot`: the state of the fleet in the account, as JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, reported_errors

EXAMPLES = ("comfy-worker deploy snapshot --out snapshot.json", "comfy-worker deploy plan --snapshot snapshot.json")


def command(
    *,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="File to write, instead of standard output.")] = None,
    file: File = FILE,
    server_url: Server = None,
) -> None:
    """Print the fleet's state at Vast, to plan without a key.

    The output is JSON. It has only this fleet and no secrets, so that it may be in a public repository.
    """
    import orjson

    from worker.cli.output.waiting import waiting
    from worker.fleet.plan.snapshot import dump

    with reported_errors(file):
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as vast, waiting("reading the account at Vast"):
            state = dump(fleet, vast.read())
        text = orjson.dumps(state, option=orjson.OPT_INDENT_2).decode()
        if out:
            out.write_text(f"{text}\n", "utf-8")
        else:
            typer.echo(text)
