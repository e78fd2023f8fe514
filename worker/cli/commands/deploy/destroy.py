"""`comfy-worker deploy destroy`: the removal of the whole fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, reported_errors
from worker.cli.commands.deploy.listing import instance_rows, total
from worker.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.fleet.apply.destroy import DestroyPlan
    from worker.fleet.definition.fleet import Fleet

EXAMPLES = ("comfy-worker deploy destroy", "comfy-worker deploy destroy --yes --environment --json")


def command(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    environment: Annotated[bool, typer.Option("--environment", help="Delete the account's variables too.")] = False,
    file: File = FILE,
    as_json: Json = False,
    server_url: Server = None,
) -> None:
    """Delete the fleet from Vast.

    Deletes its endpoint, groups, workers and template, with all data on the disks of its instances. Keeps everything
    that other fleets of the account use.
    """
    from worker.errors import NotThisFleet
    from worker.fleet.apply.destroy import check_unchanged, destroy, plan_destroy

    with reported_errors(file):
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as vast:
            plan = plan_destroy(vast, fleet, vast.read(), environment=environment)
            if plan.empty and plan.conflicts:
                raise NotThisFleet(*plan.conflicts)
            for line in _lines(plan, fleet):
                typer.echo(line, err=as_json)
            if not plan.empty:
                if not yes:
                    typer.confirm("Delete all of it?", abort=True, err=True)
                    check_unchanged(plan, plan_destroy(vast, fleet, vast.read(), environment=environment))
                destroy(vast, plan, lambda line: typer.echo(line, err=as_json))
    if as_json:
        _print_json(plan)
    elif plan.empty:
        typer.echo("the account has nothing of this fleet")


def _print_json(plan: DestroyPlan) -> None:
    """Print the ids of what was deleted, and what stays in the account."""
    from worker.cli.output.json_output import print_json

    print_json(
        {
            "endpoints": [endpoint.id for endpoint in plan.endpoints],
            "groups": [group.id for group in plan.groups],
            "instances": [instance.id for instance in plan.instances],
            "templates": [template.id for template in plan.templates],
            "variables": [*plan.environment],
            "stays": [*plan.stays, *plan.conflicts],
        }
    )


def _lines(plan: DestroyPlan, fleet: Fleet) -> Iterator[str]:
    """Yield the lines that the user confirms: what will be deleted, with its price, and what will be kept."""
    from worker.fleet.plan.ownership import display_name

    if not plan.empty:
        yield "To delete:"
    yield from (f"- endpoint {display_name(row.name)} ({row.id}), {row.state}" for row in plan.endpoints)
    yield from (f"- group {text}" for text in _group_titles(plan, fleet).values())
    yield from instance_rows(plan.instances, _places(plan, fleet))
    yield from (f"- template {display_name(row.name)} ({row.id})" for row in plan.templates)
    yield from (f"- variable {name}" for name in plan.environment)
    if plan.instances:
        yield total(plan.instances)
    stays = (*plan.stays, *plan.conflicts)
    if stays:
        yield "To keep:"
    yield from (f"- {text}" for text in stays)


def _group_titles(plan: DestroyPlan, fleet: Fleet) -> dict[int, str]:
    """Return a text for each group, by its id: its name in the file, and the highest price of one of its workers."""
    from worker.fleet.plan.plan import match_to_file

    names = {group.id: name for name, group in match_to_file(fleet, plan.groups).by_name.items()}
    titles = {}
    for group in plan.groups:
        max_price = group.search.get("dph_total", {}).get("lte")
        price = f", up to ${max_price:.2f}/h for a worker" if isinstance(max_price, float) else ""
        titles[group.id] = f"{names.get(group.id, 'not in the file')} ({group.id}){price}"
    return titles


def _places(plan: DestroyPlan, fleet: Fleet) -> dict[int, str]:
    """Return a text for each instance, by its id: its group if that is known, or else its endpoint.

    `own_workers` are instances of the fleet's endpoint with their groups, if Vast names a group. An instance that
    belongs to no endpoint is only recognized by its template.
    """
    places = {}
    for instance in plan.instances:
        if instance.id not in plan.claims.own_workers and instance.id not in plan.claims.ungrouped_workers:
            places[instance.id] = "of no endpoint, started with the fleet's template"
            continue
        group_id = plan.claims.own_workers.get(instance.id)
        if group_id is None and len(plan.groups) == 1:  # the endpoint has no other group
            group_id = plan.groups[0].id
        endpoint = f"of endpoint {fleet.endpoint.name}"
        places[instance.id] = endpoint if group_id is None else f"of group {group_id}"
    return places
