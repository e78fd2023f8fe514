"""Everything of a fleet taken out of the account, in the order in which nothing rents anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.wanted import former_of
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import Actual, EndpointRow, GroupRow, Instance, TemplateRow


@dataclass(frozen=True, slots=True)
class Doomed:
    """What goes. `instances` are those that are there now; more may come until the groups are gone."""

    endpoints: tuple[EndpointRow, ...]
    groups: tuple[GroupRow, ...]
    instances: tuple[Instance, ...]
    templates: tuple[TemplateRow, ...]
    environment: tuple[str, ...]
    worker_ids: frozenset[int] = frozenset()

    @property
    def empty(self) -> bool:
        return not (self.endpoints or self.groups or self.instances or self.templates or self.environment)

    @property
    def hashes(self) -> frozenset[str]:
        """Every version of the template that workers may have."""
        used = {group.template_hash for group in self.groups}
        known = {one.hash for one in self.templates} | {former_of(one.body) for one in self.templates}
        return frozenset((used | known) - {""})

    def owns(self, instance: Instance) -> bool:
        """A worker of the endpoint, or started with the fleet's template."""
        return instance.id in self.worker_ids or instance.template_hash in self.hashes


def find(account: Account, fleet: Fleet, actual: Actual, *, environment: bool) -> Doomed:
    """All that has the fleet's names, and what hangs on it."""
    endpoints = tuple(one for one in actual.endpoints if one.name == fleet.endpoint.name)
    ids = {one.id for one in endpoints}
    doomed = Doomed(
        endpoints=endpoints,
        groups=tuple(group for group in actual.groups if group.endpoint_id in ids),
        instances=(),
        templates=tuple(one for one in actual.templates if one.name == fleet.template.name),
        environment=tuple(sorted(actual.environment.intersection(fleet.environment))) if environment else (),
        worker_ids=frozenset(row.id for one in endpoints for row in account.workers(one)),
    )
    instances = tuple(one for one in account.instances() if doomed.owns(one)) if endpoints or doomed.templates else ()
    return Doomed(doomed.endpoints, doomed.groups, instances, doomed.templates, doomed.environment, doomed.worker_ids)


def destroy(account: Account, doomed: Doomed, tell: Callable[[str], None]) -> None:
    """Run again where it was cut off: the template goes last, because by it leftover instances are known."""
    for endpoint in doomed.endpoints:
        if endpoint.state != "stopped":
            account.set_state(endpoint, "stopped")
            tell(f"endpoint {endpoint.name} is stopped")
    for group in doomed.groups:
        account.delete_group(group)
        tell(f"group {group.id} is gone")
    for endpoint in doomed.endpoints:
        account.delete_endpoint(endpoint)
        tell(f"endpoint {endpoint.name} is gone")
    _destroy_rest(account, doomed, tell)


def _destroy_rest(account: Account, doomed: Doomed, tell: Callable[[str], None]) -> None:
    """Instances are asked for again: one may have been rented since, and those of a deleted group may stay."""
    for instance in filter(doomed.owns, account.instances()):
        account.destroy_instance(instance)
        tell(f"instance {instance.id} is gone")
    for template in doomed.templates:
        account.delete_template(template)
        tell(f"template {template.name} is gone")
    for name in doomed.environment:
        account.remove_environment(name)
        tell(f"variable {name} is gone")
