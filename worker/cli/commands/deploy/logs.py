"""`comfy-worker deploy logs`: the autoscaler's logs of the fleet."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, reported_errors
from worker.cli.options import Json

EXAMPLES = ("comfy-worker deploy logs", "comfy-worker deploy logs --group small --tail 20 --level 3")


def command(
    *,
    group: Annotated[str | None, typer.Option(help="Only this group, by its name in the file.")] = None,
    tail: Annotated[int, typer.Option(min=1, help="Number of lines of each log.")] = 100,
    level: Annotated[int, typer.Option(min=0, max=3, help="Level of detail, from 0 (least) to 3 (most).")] = 1,
    file: File = FILE,
    as_json: Json = False,
    server_url: Server = None,
) -> None:
    """Print the autoscaler's logs of the fleet.

    There is one log of the endpoint, and one of each group.
    """
    from worker.cli.output.json_output import print_json
    from worker.cli.output.waiting import waiting
    from worker.fleet.vast.logs import read_logs

    with reported_errors(file):
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as vast, waiting("reading the logs from Vast"):
            logs = dict(read_logs(vast, fleet, vast.read(), group, (level, tail)))
    if as_json:
        print_json(logs)
        return
    for title, text in logs.items():
        typer.echo(f"== {title}")
        typer.echo(text.rstrip("\n"))
