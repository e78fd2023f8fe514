"""`comfy-worker deploy destroy`: nothing of the fleet is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import FILE, UNNAMED, File, Server, account, fleet_in, told
from worker.cli.commands.deploy.listing import instance_rows, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.fleet.apply.destroy import DestroyPlan
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
    from worker.fleet.apply.destroy import check_unchanged, destroy, plan_destroy

    with told():
        fleet = fleet_in(file, UNNAMED)
        with account(server_url) as found:
            plan = plan_destroy(found, fleet, found.read(), environment=environment)
            if plan.empty and plan.conflicts:
                raise NotThisFleet(*plan.conflicts)
            for line in _lines(plan, fleet):
                typer.echo(line)
            if plan.empty:
                typer.echo("nothing of this fleet is there")
                return
            if not yes:
                typer.confirm("Take all of it away?", abort=True, err=True)
                check_unchanged(plan, plan_destroy(found, fleet, found.read(), environment=environment))
            destroy(found, plan, typer.echo)


def _lines(plan: DestroyPlan, fleet: Fleet) -> Iterator[str]:
    from worker.fleet.plan.ownership import display_name

    if not plan.empty:
        yield "This goes:"
    yield from (f"- endpoint {display_name(one.name)} ({one.id}), {one.state}" for one in plan.endpoints)
    yield from (f"- group {text}" for text in _group_titles(plan, fleet).values())
    yield from instance_rows(plan.instances, _places(plan, fleet))
    yield from (f"- template {display_name(one.name)} ({one.id})" for one in plan.templates)
    yield from (f"- variable {name}" for name in plan.environment)
    if plan.instances:
        yield total(plan.instances)
    stays = (*plan.stays, *plan.conflicts)
    if stays:
        yield "This stays:"
    yield from (f"- {text}" for text in stays)


def _group_titles(plan: DestroyPlan, fleet: Fleet) -> dict[int, str]:
    """By id: the file's name where one group of the file is like it, and the most that one of its workers may cost."""
    from worker.fleet.plan.plan import match_to_file

    names = {group.id: name for name, group in match_to_file(fleet, plan.groups).by_name.items()}
    titles = {}
    for group in plan.groups:
        bound = group.search.get("dph_total", {}).get("lte")
        price = f", up to ${bound:.2f}/h for a worker" if isinstance(bound, float) else ""
        titles[group.id] = f"{names.get(group.id, 'not in the file')} ({group.id}){price}"
    return titles


def _places(plan: DestroyPlan, fleet: Fleet) -> dict[int, str]:
    """The group of each instance where Vast tells it or only one can be meant, else its endpoint."""
    places = {}
    for one in plan.instances:
        if one.id not in plan.claims.workers and one.id not in plan.claims.mixed:
            places[one.id] = "of no endpoint, started with the fleet's template"
            continue
        number = plan.claims.workers.get(one.id)
        number = plan.groups[0].id if number is None and len(plan.groups) == 1 else number
        endpoint = f"of endpoint {fleet.endpoint.name}"
        places[one.id] = endpoint if number is None else f"of group {number}"
    return places
