"""Decides which instances are a fleet's. An instance names its template and its variables, but never its group."""

from __future__ import annotations

from dataclasses import dataclass

from worker.fleet.definition.fleet import MARK, Fleet
from worker.fleet.plan.ownership import Ownership
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import Actual, Instance


@dataclass(frozen=True, slots=True)
class InstanceClaims:
    """The facts by which `owns` decides whether an instance is the fleet's.

    `workers` maps the ids of the fleet's workers to their group, or to None when Vast does not name it. `others` are
    workers of other endpoints or groups. `mixed` are workers of the fleet's endpoint whose group Vast does not name,
    while the endpoint also has groups of others.

    `versions` are the hashes of the fleet's template. `shared` are hashes that groups of others use too: such a hash
    alone does not make an instance the fleet's. `certain` is False when the autoscaler does not yet know an endpoint
    of others: then no hash alone is enough.
    """

    fleet_id: str
    workers: dict[int, int | None]
    others: frozenset[int]
    mixed: frozenset[int]
    versions: frozenset[str]
    shared: frozenset[str]
    certain: bool = True

    def owns(self, instance: Instance) -> bool:
        """Return whether the instance is a worker of the fleet's groups, or was left behind by such a group."""
        mark = instance.env.get(MARK, "")
        if mark not in ("", self.fleet_id) or instance.id in self.others:
            return False
        if instance.id in self.mixed:
            return instance.template_hash in self.versions
        return instance.id in self.workers or (self.certain and self._is_leftover(instance, mark))

    def is_unclear(self, instance: Instance) -> bool:
        """Return whether the instance has the fleet's template or mark but may belong to others."""
        related = instance.template_hash in self.versions or instance.env.get(MARK) == self.fleet_id
        return related and not self.owns(instance)

    def _is_leftover(self, instance: Instance, mark: str) -> bool:
        """Return whether a group that no longer exists left this instance behind."""
        if instance.template_hash in self.shared:
            return False
        marked = mark == self.fleet_id and not self.shared & self.versions
        return instance.template_hash in self.versions or marked


def instance_claims(account: Account, fleet: Fleet, actual: Actual, own: Ownership) -> InstanceClaims:
    """Ask the autoscaler for the workers of every endpoint of the account, with one call each."""
    own_groups = {group.id for group in own.groups}
    shared_endpoints = {group.endpoint_id for group in own.foreign_groups}
    own_endpoints = {endpoint.id for endpoint in own.endpoints}
    workers: dict[int, int | None] = {}
    others, mixed = set[int](), set[int]()
    certain = True
    for endpoint in actual.endpoints:
        rows = account.known_workers(endpoint)
        if rows is None and endpoint.id not in own_endpoints and _has_groups(actual, endpoint.id):
            certain = False
        for row in rows or ():
            if endpoint.id not in own_endpoints or (row.group_id is not None and row.group_id not in own_groups):
                others.add(row.id)
            elif row.group_id is None and endpoint.id in shared_endpoints:
                mixed.add(row.id)
            else:
                workers[row.id] = row.group_id
    shared = frozenset(group.template_hash for group in actual.groups if group.id not in own_groups)
    return InstanceClaims(fleet.id, workers, frozenset(others), frozenset(mixed), own.versions, shared, certain)


def _has_groups(actual: Actual, endpoint_id: int) -> bool:
    return any(group.endpoint_id == endpoint_id for group in actual.groups)
