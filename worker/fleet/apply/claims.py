"""Decides which instances are a fleet's. An instance names its template and its variables, but never its group."""

from __future__ import annotations

from dataclasses import dataclass

from worker.fleet.definition.fleet import MARK, Fleet
from worker.fleet.plan.ownership import Ownership
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import AccountState, Instance


@dataclass(frozen=True, slots=True)
class InstanceClaims:
    """The facts by which `owns` decides whether an instance is the fleet's.

    A worker has the id of its instance. `own_workers` maps the ids of the fleet's workers to the ids of their groups.
    The group is None when Vast does not name it. `foreign_workers` are workers of other endpoints or groups.
    `ungrouped_workers` are workers of the fleet's endpoint whose group Vast does not name, while the endpoint also has
    groups that are not the fleet's.

    `own_hashes` are the hashes of the fleet's template. `shared_hashes` are hashes that groups of others use too: such
    a hash alone does not make an instance the fleet's. `all_workers_known` is False when the autoscaler does not yet
    know an endpoint of others. In that case, no hash alone is enough.
    """

    fleet_id: str
    own_workers: dict[int, int | None]
    foreign_workers: frozenset[int]
    ungrouped_workers: frozenset[int]
    own_hashes: frozenset[str]
    shared_hashes: frozenset[str]
    all_workers_known: bool = True

    def owns(self, instance: Instance) -> bool:
        """Return whether the instance is a worker of the fleet's groups, or was left behind by such a group.

        The mark is the id of a fleet, which a template sets as an environment variable of its containers.
        """
        mark = instance.env.get(MARK, "")
        if mark not in ("", self.fleet_id) or instance.id in self.foreign_workers:
            return False
        if instance.id in self.ungrouped_workers:
            return instance.template_hash in self.own_hashes
        return instance.id in self.own_workers or (self.all_workers_known and self._is_leftover(instance, mark))

    def is_unclear(self, instance: Instance) -> bool:
        """Return whether the instance has the fleet's template or mark but may belong to others."""
        related = instance.template_hash in self.own_hashes or instance.env.get(MARK) == self.fleet_id
        return related and not self.owns(instance)

    def _is_leftover(self, instance: Instance, mark: str) -> bool:
        """Return whether a group of the fleet that no longer exists left this instance behind.

        `mark` is the instance's mark, which proves nothing if other groups use the same template.
        """
        if instance.template_hash in self.shared_hashes:
            return False
        is_marked = mark == self.fleet_id and not self.shared_hashes & self.own_hashes
        return instance.template_hash in self.own_hashes or is_marked


def instance_claims(account: Account, fleet: Fleet, actual: AccountState, own: Ownership) -> InstanceClaims:
    """Return the claims of a fleet, from the autoscaler's lists of workers: one call for each endpoint of the account.

    `own` has the rows of the account that belong to the fleet.
    """
    own_groups = {group.id for group in own.groups}
    shared_endpoints = {group.endpoint_id for group in own.foreign_groups}
    own_endpoints = {endpoint.id for endpoint in own.endpoints}
    own_workers: dict[int, int | None] = {}
    foreign, ungrouped = set[int](), set[int]()
    all_known = True
    for endpoint in actual.endpoints:
        rows = account.known_workers(endpoint)
        if rows is None and endpoint.id not in own_endpoints and _has_groups(actual, endpoint.id):
            all_known = False
        for row in rows or ():
            in_foreign_group = row.group_id is not None and row.group_id not in own_groups
            if endpoint.id not in own_endpoints or in_foreign_group:
                foreign.add(row.id)
            elif row.group_id is None and endpoint.id in shared_endpoints:
                ungrouped.add(row.id)
            else:
                own_workers[row.id] = row.group_id
    shared = frozenset(group.template_hash for group in actual.groups if group.id not in own_groups)
    return InstanceClaims(
        fleet.id, own_workers, frozenset(foreign), frozenset(ungrouped), own.versions, shared, all_known
    )


def _has_groups(actual: AccountState, endpoint_id: int) -> bool:
    return any(group.endpoint_id == endpoint_id for group in actual.groups)
