"""`comfy-worker deploy destroy`: nothing of the fleet is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, told

if TYPE_CHECKING:
    from worker.fleet.apply.destroy import Doomed


def command(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="don't ask")] = False,
    environment: Annotated[bool, typer.Option("--environment", help="the account's variables too")] = False,
    file: File = FILE,
    server_url: Server = None,
) -> None:
    """Take endpoint, groups, workers and template away.

    Every instance that was started with the fleet's template goes, with all that is on its disk.
    """
    from worker.fleet.apply.destroy import destroy, find

    with told():
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as found:
            doomed = find(found, fleet, found.read(), environment=environment)
            if doomed.empty:
                typer.echo("nothing is there")
                return
            _list(doomed)
            if not yes:
                typer.confirm("Take all of it away?", abort=True, err=True)
            destroy(found, doomed, typer.echo)


def _list(doomed: Doomed) -> None:
    rows = [
        *(f"endpoint {one.name} ({one.id})" for one in doomed.endpoints),
        *(f"group {one.id}" for one in doomed.groups),
        *(f"instance {one.id}, {one.status}, ${one.dph:.3f}/h" for one in doomed.instances),
        *(f"template {one.name} ({one.id})" for one in doomed.templates),
        *(f"variable {name}" for name in doomed.environment),
    ]
    for row in rows:
        typer.echo(f"- {row}")
