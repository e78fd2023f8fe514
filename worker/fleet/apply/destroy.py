"""Everything of a fleet taken out of the account, in the order in which nothing rents anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from worker.errors import StalePlan
from worker.fleet.apply.claims import InstanceClaims, instance_claims
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.desired_state import endpoint_body
from worker.fleet.plan.ownership import Ownership, describe_row, ownership
from worker.fleet.plan.versions import versions_of
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import Actual, EndpointRow, GroupRow, Instance, TemplateRow


@dataclass(frozen=True, slots=True)
class DestroyPlan:
    """What goes. `instances` are those that are there now; more may come until the groups are gone.

    `endpoints` have the file's parameters. `stays` has a sentence for each thing that is near and left alone,
    `conflicts` those about the fleet's own names.
    """

    endpoints: tuple[EndpointRow, ...]
    groups: tuple[GroupRow, ...]
    instances: tuple[Instance, ...]
    templates: tuple[TemplateRow, ...]
    environment: tuple[str, ...]
    claims: InstanceClaims
    stays: tuple[str, ...] = ()
    conflicts: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        return not (self.endpoints or self.groups or self.instances or self.templates or self.environment)

    @property
    def per_hour(self) -> float:
        """Dollars for all instances."""
        return sum(one.dph for one in self.instances)


def plan_destroy(account: Account, fleet: Fleet, actual: Actual, *, environment: bool) -> DestroyPlan:
    """All that carries the fleet's mark, and what hangs on it. What others use too stays."""
    own = ownership(fleet, actual)
    nothing = not own.endpoints and not own.templates
    claims = InstanceClaims(fleet.id, {}, frozenset(), frozenset(), own.versions, frozenset())
    instances: tuple[Instance, ...] = ()
    if not nothing:
        claims = instance_claims(account, fleet, actual, own)
        instances = account.instances()
    borrowed = {group.template_hash for group in own.outside_groups}
    crowded = {group.endpoint_id for group in own.foreign_groups}
    endpoints = tuple(one for one in own.endpoints if one.id not in crowded)
    alone = len(endpoints) == len(actual.endpoints)
    named = tuple(sorted(actual.environment.intersection(fleet.environment))) if environment else ()
    return DestroyPlan(
        endpoints=tuple(replace(one, body=endpoint_body(fleet)) for one in endpoints),
        groups=own.groups,
        instances=tuple(filter(claims.owns, instances)),
        templates=tuple(one for one in own.templates if not borrowed.intersection(versions_of(one))),
        environment=named if alone else (),
        claims=claims,
        stays=(
            *_stays(own, crowded, () if alone else named),
            *_doubtful(claims, instances),
            *own.notes,
            *own.duplicate_endpoints,
        ),
        conflicts=own.conflicts,
    )


def check_unchanged(listed: DestroyPlan, now: DestroyPlan) -> None:
    """Raises StalePlan where something would go that was not listed. Instances come and go with the load."""
    pairs = ((listed.endpoints, now.endpoints), (listed.groups, now.groups), (listed.templates, now.templates))
    for before, after in pairs:
        if {one.id for one in after} - {one.id for one in before}:
            raise StalePlan("the account has changed since this was listed: run the command again")
    if set(now.environment) - set(listed.environment):
        raise StalePlan("the account has changed since this was listed: run the command again")


def destroy(account: Account, plan: DestroyPlan, tell: Callable[[str], None]) -> None:
    """Run again where it was cut off. The template goes last, because it has the mark; and the endpoint after its
    workers, because it knows them. The file's parameters go along with its state, so that an endpoint whose groups are
    gone is still known as the fleet's."""
    for endpoint in plan.endpoints:
        account.set_state(endpoint, "stopped")
        tell(f"endpoint {endpoint.name} is stopped")
    for group in plan.groups:
        account.delete_group(group)
        tell(f"group {group.id} is gone")
    for instance in _instances(account, plan):
        account.destroy_instance(instance)
        tell(f"instance {instance.id} is gone")
    for endpoint in plan.endpoints:
        account.delete_endpoint(endpoint)
        tell(f"endpoint {endpoint.name} is gone")
    for template in plan.templates:
        account.delete_template(template)
        tell(f"template {template.name} is gone")
    for name in plan.environment:
        account.remove_environment(name)
        tell(f"variable {name} is gone")


def _instances(account: Account, plan: DestroyPlan) -> list[Instance]:
    """Listed again: one may have been rented since, and those of a deleted group may stay."""
    if not plan.endpoints and not plan.groups and not plan.instances:
        return []
    fresh = {row.id: row.group_id for endpoint in plan.endpoints for row in account.workers(endpoint)}
    claims = replace(plan.claims, workers={**plan.claims.workers, **fresh})
    return [one for one in account.instances() if claims.owns(one)]


def _stays(own: Ownership, crowded: set[int], variables: tuple[str, ...]) -> Iterator[str]:
    for endpoint in own.endpoints:
        if endpoint.id in crowded:
            yield f"{describe_row('endpoint', endpoint)} stays, for the sake of groups in it that are not this fleet's"
    borrowed = {group.template_hash for group in own.outside_groups}
    for template in own.templates:
        if borrowed.intersection(versions_of(template)):
            yield f"{describe_row('template', template)} stays, because a group of another endpoint uses it"
    for name in variables:
        yield f"variable {name} stays, because the containers of other endpoints get it too"


def _doubtful(claims: InstanceClaims, instances: tuple[Instance, ...]) -> Iterator[str]:
    for one in filter(claims.is_unclear, instances):
        yield f"instance {one.id} stays: it has this fleet's template and may be a worker of another endpoint"
