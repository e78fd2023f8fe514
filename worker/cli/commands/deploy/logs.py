"""`comfy-worker deploy logs`: what the autoscaler says of the fleet."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, told


def command(
    *,
    group: Annotated[str | None, typer.Option(help="of this group alone, by its name in the file")] = None,
    tail: Annotated[int, typer.Option(min=1, help="lines of each log")] = 100,
    level: Annotated[int, typer.Option(min=0, max=3, help="0: least, 3: most")] = 1,
    file: File = FILE,
    server_url: Server = None,
) -> None:
    """Print the autoscaler's logs of endpoint and groups."""
    from worker.fleet.vast.logs import logs_of

    with told():
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as found:
            for title, text in logs_of(found, fleet, found.read(), group, (level, tail)):
                typer.echo(f"== {title}")
                typer.echo(text.rstrip("\n"))
