"""The status of a fleet: its endpoint, its groups, its workers and their prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.errors import DeployError
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.plan import fleet_resources
from worker.fleet.vast.account import Account
from worker.fleet.vast.offer import query_text
from worker.fleet.vast.rows import AccountState, EndpointRow, GroupRow, TemplateRow, WorkerRow


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """The rows of a fleet, with the groups' `names` in the file by id, and `prices` in dollars per hour by worker id.

    A worker without a listed instance has no price.
    """

    endpoint: EndpointRow
    template: TemplateRow | None
    groups: tuple[GroupRow, ...]
    names: dict[int, str]
    workers: tuple[WorkerRow, ...]
    prices: dict[int, float]

    @property
    def per_hour(self) -> float:
        """Price of all workers together, stopped ones included, in dollars per hour."""
        return sum(self.prices.get(row.id, 0.0) for row in self.workers)

    def as_dict(self) -> dict[str, Any]:
        """Return the status as JSON values, for `deploy status --json`."""
        return {
            "endpoint": {"id": self.endpoint.id, "name": self.endpoint.name, "state": self.endpoint.state},
            "template": self.template.hash if self.template else None,
            "groups": [
                {
                    **{"id": group.id, "name": self.names.get(group.id), "template": group.template_hash},
                    **{"search": query_text(group.search), "max_workers": group.body.get("max_workers")},
                }
                for group in self.groups
            ],
            "workers": [
                {
                    **{"id": row.id, "group": row.group_id, "status": row.status, "ready": row.ready},
                    **{
                        "measured_perf": row.measured_perf,
                        "error": row.error,
                        "dollars_per_hour": self.prices.get(row.id),
                    },
                }
                for row in self.workers
            ],
            "dollars_per_hour": round(self.per_hour, 4),
        }


def fleet_status(account: Account, fleet: Fleet, actual: AccountState) -> FleetStatus:
    """Return the present status of a fleet. Raises DeployError when the endpoint does not exist.

    Other groups may be in the same endpoint. Their workers are left out, as far as Vast names the group or they have a
    template that the fleet's groups do not use.
    """
    resources = fleet_resources(fleet, actual)
    if resources.endpoint is None:
        raise DeployError(f"the account has no endpoint {fleet.endpoint.name}; comfy-worker deploy apply creates it")
    names = {group.id: name for name, group in resources.matches.by_name.items()}
    workers = account.workers(resources.endpoint)
    instances = account.instances() if workers else ()
    prices = {instance.id: instance.dph for instance in instances}
    foreign_hashes = {group.template_hash for group in actual.groups if group.endpoint_id == resources.endpoint.id}
    foreign_hashes -= {group.template_hash for group in resources.groups}
    foreign_workers = {instance.id for instance in instances if instance.template_hash in foreign_hashes}
    own_groups = {None, *(group.id for group in resources.groups)}  # None means that Vast does not name the group
    workers = tuple(row for row in workers if row.id not in foreign_workers and row.group_id in own_groups)
    return FleetStatus(resources.endpoint, resources.template, resources.groups, names, workers, prices)
