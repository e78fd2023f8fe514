"""`comfy-worker deploy destroy`: nothing of the fleet is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, told
from worker.cli.commands.deploy.listing import instance_rows, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.fleet.apply.destroy import Doomed
    from worker.fleet.definition.fleet import Fleet


def command(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="don't ask")] = False,
    environment: Annotated[bool, typer.Option("--environment", help="the account's variables too")] = False,
    file: File = FILE,
    server_url: Server = None,
) -> None:
    """Take the fleet's endpoint, groups, workers and template away.

    Everything that has the fleet's mark goes, with all that is on the disks of its instances. What others in the
    account use too stays.
    """
    from worker.errors import NotThisFleet
    from worker.fleet.apply.destroy import check_same, destroy, find

    with told():
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as found:
            doomed = find(found, fleet, found.read(), environment=environment)
            if doomed.empty and doomed.conflicts:
                raise NotThisFleet(*doomed.conflicts)
            for line in _lines(doomed, fleet):
                typer.echo(line)
            if doomed.empty:
                typer.echo("nothing of this fleet is there")
                return
            if not yes:
                typer.confirm("Take all of it away?", abort=True, err=True)
                check_same(doomed, find(found, fleet, found.read(), environment=environment))
            destroy(found, doomed, typer.echo)


def _lines(doomed: Doomed, fleet: Fleet) -> Iterator[str]:
    from worker.fleet.plan.ownership import label

    if not doomed.empty:
        yield "This goes:"
    yield from (f"- endpoint {label(one.name)} ({one.id}), {one.state}" for one in doomed.endpoints)
    yield from (f"- group {text}" for text in _group_titles(doomed, fleet).values())
    yield from instance_rows(doomed.instances, _places(doomed, fleet))
    yield from (f"- template {label(one.name)} ({one.id})" for one in doomed.templates)
    yield from (f"- variable {name}" for name in doomed.environment)
    if doomed.instances:
        yield total(doomed.instances)
    stays = (*doomed.stays, *doomed.conflicts)
    if stays:
        yield "This stays:"
    yield from (f"- {text}" for text in stays)


def _group_titles(doomed: Doomed, fleet: Fleet) -> dict[int, str]:
    """By id: the file's name where one group of the file is like it, and the most that one of its workers may cost."""
    from worker.fleet.plan.plan import pairs_of

    names = {group.id: name for name, group in pairs_of(fleet, doomed.groups).found.items()}
    titles = {}
    for group in doomed.groups:
        bound = group.search.get("dph_total", {}).get("lte")
        price = f", up to ${bound:.2f}/h for a worker" if isinstance(bound, float) else ""
        titles[group.id] = f"{names.get(group.id, 'not in the file')} ({group.id}){price}"
    return titles


def _places(doomed: Doomed, fleet: Fleet) -> dict[int, str]:
    """The group of each instance where Vast tells it or only one can be meant, else its endpoint."""
    places = {}
    for one in doomed.instances:
        if one.id not in doomed.claims.workers and one.id not in doomed.claims.mixed:
            places[one.id] = "of no endpoint, started with the fleet's template"
            continue
        number = doomed.claims.workers.get(one.id)
        number = doomed.groups[0].id if number is None and len(doomed.groups) == 1 else number
        endpoint = f"of endpoint {fleet.endpoint.name}"
        places[one.id] = endpoint if number is None else f"of group {number}"
    return places
