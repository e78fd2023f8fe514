"""`comfy-worker deploy rollback`: the previous version of the fleet's template."""

from __future__ import annotations

from typing import Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, reported_errors
from worker.cli.options import Json

EXAMPLES = ("comfy-worker deploy rollback", "comfy-worker deploy rollback --to 0123456789abcdef0123456789abcdef")


def command(
    *,
    to: Annotated[
        str | None, typer.Option(metavar="HASH", help="Hash of a template, instead of the previous one.")
    ] = None,
    file: File = FILE,
    as_json: Json = False,
    server_url: Server = None,
) -> None:
    """Put all groups back to the previous template.

    The hash of the previous template is in the description of the current one. The workers of a group change one
    after the other.
    """
    from worker.cli.output.json_output import print_json
    from worker.fleet.apply.rollback import roll_back, rollback_target
    from worker.fleet.plan.plan import fleet_resources

    with reported_errors(file):
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as vast:
            resources = fleet_resources(fleet, vast.read())
            target = rollback_target(resources, to)
            groups = {group.id: group for group in resources.groups}
            moved = roll_back(vast, dict.fromkeys(groups, target), groups, lambda line: typer.echo(line, err=as_json))
    if as_json:
        print_json({"template": target, "groups": list(groups), "moved": moved})
    else:
        typer.echo(f"{moved} of {len(groups)} groups were put back\n→ comfy-worker deploy status")
