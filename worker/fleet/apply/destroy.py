"""Removing everything of a fleet from the account, in an order in which no instance is rented again."""

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
from worker.fleet.vast.rows import AccountState, EndpointRow, GroupRow, Instance, TemplateRow


@dataclass(frozen=True, slots=True)
class DestroyPlan:
    """The rows that are deleted, and sentences about those that stay.

    `endpoints` have the parameters of the file. `instances` are the current ones; the groups may rent more until they
    are deleted. `stays` has a sentence for each related thing that is not deleted. `conflicts` has the sentences about
    things with the fleet's own names.
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
        """Whether there is nothing to delete."""
        return not (self.endpoints or self.groups or self.instances or self.templates or self.environment)

    @property
    def per_hour(self) -> float:
        """Price of all instances together, in dollars per hour."""
        return sum(instance.dph for instance in self.instances)


def plan_destroy(account: Account, fleet: Fleet, actual: AccountState, *, environment: bool) -> DestroyPlan:
    """Return what a destroy deletes: all rows of the fleet, except those that other groups or endpoints use too.

    With `environment`, the account's variables that the file names are deleted too, unless the account has other
    endpoints, whose containers get them as well.
    """
    own = ownership(fleet, actual)
    claims = InstanceClaims(fleet.id, {}, frozenset(), frozenset(), own.versions, frozenset())
    instances: tuple[Instance, ...] = ()
    if own.endpoints or own.templates:
        claims = instance_claims(account, fleet, actual, own)
        instances = account.instances()
    hashes_in_use = {group.template_hash for group in own.outside_groups}
    shared_endpoints = {group.endpoint_id for group in own.foreign_groups}
    endpoints = tuple(endpoint for endpoint in own.endpoints if endpoint.id not in shared_endpoints)
    is_only_fleet = len(endpoints) == len(actual.endpoints)
    variables = tuple(sorted(actual.environment.intersection(fleet.environment))) if environment else ()
    return DestroyPlan(
        endpoints=tuple(replace(endpoint, body=endpoint_body(fleet)) for endpoint in endpoints),
        groups=own.groups,
        instances=tuple(filter(claims.owns, instances)),
        templates=tuple(row for row in own.templates if not hashes_in_use.intersection(versions_of(row))),
        environment=variables if is_only_fleet else (),
        claims=claims,
        stays=(
            *_kept_rows(own, shared_endpoints, () if is_only_fleet else variables),
            *_kept_instances(claims, instances),
            *own.notes,
            *own.duplicate_endpoints,
        ),
        conflicts=own.conflicts,
    )


def check_unchanged(listed: DestroyPlan, now: DestroyPlan) -> None:
    """Raise StalePlan when `now` deletes a row or variable that was not in the `listed` plan.

    Instances are not compared, because the autoscaler rents and deletes them with the load.
    """
    pairs = ((listed.endpoints, now.endpoints), (listed.groups, now.groups), (listed.templates, now.templates))
    for listed_rows, current_rows in pairs:
        if {row.id for row in current_rows} - {row.id for row in listed_rows}:
            raise StalePlan("the account has changed since this list was made: run the command again")
    if set(now.environment) - set(listed.environment):
        raise StalePlan("the account has changed since this list was made: run the command again")


def destroy(account: Account, plan: DestroyPlan, report: Callable[[str], None]) -> None:
    """Delete everything in the plan and report each deletion. An interrupted destroy can be run again.

    The templates are deleted last, because they carry the fleet's mark. An endpoint is deleted after its workers,
    because only the endpoint lists them. Stopping an endpoint also writes the file's parameters, so that it can still
    be identified as the fleet's when its groups are deleted.
    """
    for endpoint in plan.endpoints:
        account.set_state(endpoint, "stopped")
        report(f"endpoint {endpoint.name} is stopped")
    for group in plan.groups:
        account.delete_group(group)
        report(f"group {group.id} is deleted")
    for instance in _current_instances(account, plan):
        account.destroy_instance(instance)
        report(f"instance {instance.id} is deleted")
    for endpoint in plan.endpoints:
        account.delete_endpoint(endpoint)
        report(f"endpoint {endpoint.name} is deleted")
    for template in plan.templates:
        account.delete_template(template)
        report(f"template {template.name} is deleted")
    for name in plan.environment:
        account.remove_environment(name)
        report(f"variable {name} is deleted")


def _current_instances(account: Account, plan: DestroyPlan) -> list[Instance]:
    """Return the fleet's instances as they are now. New ones may have been rented since the plan was made.

    Instances of a deleted group may remain, so the workers of each endpoint are read again, too.
    """
    if not plan.endpoints and not plan.groups and not plan.instances:
        return []
    group_ids = {row.id: row.group_id for endpoint in plan.endpoints for row in account.workers(endpoint)}
    claims = replace(plan.claims, own_workers={**plan.claims.own_workers, **group_ids})
    return [instance for instance in account.instances() if claims.owns(instance)]


def _kept_rows(own: Ownership, shared_endpoints: set[int], variables: tuple[str, ...]) -> Iterator[str]:
    """Yield a sentence for each endpoint, template and variable that stays because others use it."""
    for endpoint in own.endpoints:
        if endpoint.id in shared_endpoints:
            yield f"{describe_row('endpoint', endpoint)} stays, because it has groups that are not this fleet's"
    hashes_in_use = {group.template_hash for group in own.outside_groups}
    for template in own.templates:
        if hashes_in_use.intersection(versions_of(template)):
            yield f"{describe_row('template', template)} stays, because a group of another endpoint uses it"
    for name in variables:
        yield f"variable {name} stays, because the containers of other endpoints get it too"


def _kept_instances(claims: InstanceClaims, instances: tuple[Instance, ...]) -> Iterator[str]:
    """Yield a sentence for each instance that stays because its owner is unclear."""
    for instance in filter(claims.is_unclear, instances):
        yield f"instance {instance.id} stays, because it has this fleet's template but may belong to another endpoint"
