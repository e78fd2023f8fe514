"""`comfy-worker deploy adopt`: a fleet without a mark becomes the file's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Image, Server, account, fleet_in, told
from worker.cli.commands.deploy.listing import instance_rows, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.fleet.apply.adopt import Adoption


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="of the endpoint at Vast, or its id")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="don't ask")] = False,
    file: File = FILE,
    image: Image = None,
    server_url: Server = None,
) -> None:
    """Take over a fleet of an older release, or one whose names have changed.

    Writes the file's id into the fleet's template, and the file's names. Groups and workers stay as they are until the
    next apply.
    """
    from worker.fleet.apply.adopt import adopt, check_login, check_unchanged, plan_adoption
    from worker.settings import environment

    with told():
        fleet = fleet_in(file, image or UNNAMED)
        with account(server_url) as found:
            adoption = plan_adoption(found, fleet, found.read(), name)
            if not adoption.changes:
                typer.echo(f"endpoint {adoption.endpoint.name} ({adoption.endpoint.id}) is this fleet's")
                return
            for line in _lines(adoption):
                typer.echo(line)
            if adoption.body is not None:
                check_login(fleet, environment())
            if not yes:
                typer.confirm("Take it over?", abort=True, err=True)
                check_unchanged(adoption, plan_adoption(found, fleet, found.read(), name))
            adopt(found, fleet, adoption, environment(), typer.echo)
    typer.echo("comfy-worker deploy plan shows what an apply would change")


def _lines(adoption: Adoption) -> Iterator[str]:
    from worker.fleet.plan.ownership import describe_row

    yield f"{describe_row('endpoint', adoption.endpoint)} becomes this fleet's, with"
    for group in adoption.groups:
        yield f"- group {group.id}"
    yield from instance_rows(adoption.instances)
    yield total(adoption.instances)
    yield "What is written:"
    for change in adoption.changes:
        yield f"- {change}"
