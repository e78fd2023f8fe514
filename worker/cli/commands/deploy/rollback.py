"""`comfy-worker deploy rollback`: the former version again."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, told


def command(
    *,
    to: Annotated[str | None, typer.Option(metavar="HASH", help="of a template, instead of the former one")] = None,
    file: File = FILE,
    server_url: Server = None,
) -> None:
    """Put all groups back to the former template.

    Which one that was stands in the template's description. Its workers go over one after the other.
    """
    from worker.fleet.apply.rollback import roll_back, target_of
    from worker.fleet.plan.plan import fleet_resources

    with told():
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as found:
            there = fleet_resources(fleet, found.read())
            target = target_of(there, to)
            groups = {group.id: group for group in there.groups}
            moved = roll_back(found, dict.fromkeys(groups, target), groups, typer.echo)
    typer.echo(f"{moved} of {len(groups)} groups moved; comfy-worker deploy status shows their workers")
