"""`comfy-worker deploy adopt`: a fleet in the account becomes the file's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import (
    FILE,
    UNNAMED,
    File,
    Image,
    Server,
    account,
    fleet_in,
    reported_errors,
)
from worker.cli.commands.deploy.listing import instance_rows, total
from worker.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.fleet.apply.adopt import Adoption

EXAMPLES = ("comfy-worker deploy adopt comfy", "comfy-worker deploy adopt 12345 --yes --json")


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name or id of the endpoint at Vast.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    file: File = FILE,
    image: Image = None,
    as_json: Json = False,
    server_url: Server = None,
) -> None:
    """Take over a fleet that has no id, or another id.

    For fleets of older releases, and after a change of names in the file. Writes the file's id and names into the
    account. Groups and workers do not change until the next apply.
    """
    from worker.fleet.apply.adopt import adopt, check_login, check_unchanged, plan_adoption
    from worker.settings import environment

    with reported_errors(file):
        fleet = fleet_in(file, image or UNNAMED)
        with account(server_url) as vast:
            adoption = plan_adoption(vast, fleet, vast.read(), name)
            if not adoption.changes:
                _print_result(adoption, as_json=as_json)
                return
            for line in _lines(adoption):
                typer.echo(line, err=as_json)
            if adoption.body is not None:
                check_login(fleet, environment())
            if not yes:
                typer.confirm("Take it over?", abort=True, err=True)
                check_unchanged(adoption, plan_adoption(vast, fleet, vast.read(), name))
            adopt(vast, fleet, adoption, environment(), lambda line: typer.echo(line, err=as_json))
    _print_result(adoption, as_json=as_json)


def _print_result(adoption: Adoption, *, as_json: bool) -> None:
    """Print the changes that were made as JSON. For people, print the next command, or that nothing had to change."""
    endpoint = adoption.endpoint
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json({"endpoint": {"id": endpoint.id, "name": endpoint.name}, "changes": [*map(str, adoption.changes)]})
    elif adoption.changes:
        typer.echo("→ comfy-worker deploy plan")
    else:
        typer.echo(f"endpoint {endpoint.name} ({endpoint.id}) belongs to this fleet already")


def _lines(adoption: Adoption) -> Iterator[str]:
    """Yield the lines that the user confirms: the endpoint, its groups and instances, and the changes."""
    from worker.fleet.plan.ownership import describe_row

    yield f"{describe_row('endpoint', adoption.endpoint)} will belong to this fleet, with"
    for group in adoption.groups:
        yield f"- group {group.id}"
    yield from instance_rows(adoption.instances)
    yield total(adoption.instances)
    yield "Changes:"
    for change in adoption.changes:
        yield f"- {change}"
