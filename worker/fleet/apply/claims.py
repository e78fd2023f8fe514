"""Which rented machines are a fleet's: an instance names its template and its variables, and never its group."""

from __future__ import annotations

from dataclasses import dataclass

from worker.fleet.definition.fleet import MARK, Fleet
from worker.fleet.plan.ownership import Ownership
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import Actual, Instance


@dataclass(frozen=True, slots=True)
class InstanceClaims:
    """`workers` are the ids of the fleet's workers by their group, None where Vast doesn't tell the group of a worker.
    `others` are workers of other endpoints or groups.

    `mixed` are workers of the fleet's endpoint whose group is not told, where others have groups in it.

    `shared` are hashes that groups of others use too: by such a hash alone an instance is not the fleet's. `certain` is
    False where the autoscaler knows an endpoint of others not yet: then no hash is enough.
    """

    fleet_id: str
    workers: dict[int, int | None]
    others: frozenset[int]
    mixed: frozenset[int]
    versions: frozenset[str]
    shared: frozenset[str]
    certain: bool = True

    def owns(self, instance: Instance) -> bool:
        """A worker of the fleet's groups, or what such a group left behind."""
        mark = instance.env.get(MARK, "")
        if mark not in ("", self.fleet_id) or instance.id in self.others:
            return False
        if instance.id in self.mixed:
            return instance.template_hash in self.versions
        return instance.id in self.workers or (self.certain and self._left_behind(instance, mark))

    def is_unclear(self, instance: Instance) -> bool:
        """It has the fleet's template or mark, and is left alone because it may be somebody else's."""
        near = instance.template_hash in self.versions or instance.env.get(MARK) == self.fleet_id
        return near and not self.owns(instance)

    def _left_behind(self, instance: Instance, mark: str) -> bool:
        if instance.template_hash in self.shared:
            return False
        marked = mark == self.fleet_id and not self.shared & self.versions
        return instance.template_hash in self.versions or marked


def instance_claims(account: Account, fleet: Fleet, actual: Actual, own: Ownership) -> InstanceClaims:
    """One call for each endpoint of the account: only an endpoint knows its workers."""
    ours = {group.id for group in own.groups}
    crowded = {group.endpoint_id for group in own.foreign_groups}
    mine = {one.id for one in own.endpoints}
    workers: dict[int, int | None] = {}
    others, mixed = set[int](), set[int]()
    certain = True
    for endpoint in actual.endpoints:
        rows = account.known_workers(endpoint)
        certain = certain and (rows is not None or endpoint.id in mine or not _has_groups(actual, endpoint.id))
        for row in rows or ():
            if endpoint.id not in mine or (row.group_id is not None and row.group_id not in ours):
                others.add(row.id)
            elif row.group_id is None and endpoint.id in crowded:
                mixed.add(row.id)
            else:
                workers[row.id] = row.group_id
    shared = frozenset(group.template_hash for group in actual.groups if group.id not in ours)
    return InstanceClaims(fleet.id, workers, frozenset(others), frozenset(mixed), own.versions, shared, certain)


def _has_groups(actual: Actual, endpoint_id: int) -> bool:
    return any(group.endpoint_id == endpoint_id for group in actual.groups)
