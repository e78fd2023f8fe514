"""`comfy-worker deploy destroy`: the removal of the whole fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Json, Server, account, fleet_in, reported_errors
from worker.cli.commands.deploy.listing import instance_rows, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.fleet.apply.destroy import Doomed
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

    Deletes its endpoint, groups, workers and template, with all data on the disks of its instances. What other fleets
    of the account use stays.
    """
    from worker.errors import NotOurs
    from worker.fleet.apply.destroy import check_same, destroy, find

    with reported_errors(file):
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as vast:
            doomed = find(vast, fleet, vast.read(), environment=environment)
            if doomed.empty and doomed.conflicts:
                raise NotOurs(*doomed.conflicts)
            for line in _lines(doomed, fleet):
                typer.echo(line, err=as_json)
            if not doomed.empty:
                if not yes:
                    typer.confirm("Delete all of it?", abort=True, err=True)
                    check_same(doomed, find(vast, fleet, vast.read(), environment=environment))
                destroy(vast, doomed, lambda line: typer.echo(line, err=as_json))
    if as_json:
        _print_json(doomed)
    elif doomed.empty:
        typer.echo("the account has nothing of this fleet")


def _print_json(doomed: Doomed) -> None:
    from worker.cli.output.json_output import print_json

    print_json(
        {
            "endpoints": [endpoint.id for endpoint in doomed.endpoints],
            "groups": [group.id for group in doomed.groups],
            "instances": [instance.id for instance in doomed.instances],
            "templates": [template.id for template in doomed.templates],
            "variables": [*doomed.environment],
            "stays": [*doomed.stays, *doomed.conflicts],
        }
    )


def _lines(doomed: Doomed, fleet: Fleet) -> Iterator[str]:
    """Yield the list of what the user confirms."""
    from worker.fleet.plan.ownership import label

    if not doomed.empty:
        yield "To delete:"
    yield from (f"- endpoint {label(row.name)} ({row.id}), {row.state}" for row in doomed.endpoints)
    yield from (f"- group {text}" for text in _group_titles(doomed, fleet).values())
    yield from instance_rows(doomed.instances, _places(doomed, fleet))
    yield from (f"- template {label(row.name)} ({row.id})" for row in doomed.templates)
    yield from (f"- variable {name}" for name in doomed.environment)
    if doomed.instances:
        yield total(doomed.instances)
    stays = (*doomed.stays, *doomed.conflicts)
    if stays:
        yield "To keep:"
    yield from (f"- {text}" for text in stays)


def _group_titles(doomed: Doomed, fleet: Fleet) -> dict[int, str]:
    """Return for each group, by id, its name in the file and the highest price of one of its workers."""
    from worker.fleet.plan.plan import pairs_of

    names = {group.id: name for name, group in pairs_of(fleet, doomed.groups).found.items()}
    titles = {}
    for group in doomed.groups:
        bound = group.search.get("dph_total", {}).get("lte")
        price = f", up to ${bound:.2f}/h for a worker" if isinstance(bound, float) else ""
        titles[group.id] = f"{names.get(group.id, 'not in the file')} ({group.id}){price}"
    return titles


def _places(doomed: Doomed, fleet: Fleet) -> dict[int, str]:
    """Return for each instance, by id, its group as far as it is known, or else its endpoint."""
    places = {}
    for instance in doomed.instances:
        if instance.id not in doomed.claims.workers and instance.id not in doomed.claims.mixed:
            places[instance.id] = "of no endpoint, started with the fleet's template"
            continue
        number = doomed.claims.workers.get(instance.id)
        number = doomed.groups[0].id if number is None and len(doomed.groups) == 1 else number
        endpoint = f"of endpoint {fleet.endpoint.name}"
        places[instance.id] = endpoint if number is None else f"of group {number}"
    return places
