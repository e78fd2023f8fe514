"""What a fleet is doing: its endpoint, its groups, its workers and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.errors import DeployError
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.plan import fleet_resources
from worker.fleet.vast.account import Account
from worker.fleet.vast.offer import query_text
from worker.fleet.vast.rows import Actual, EndpointRow, GroupRow, TemplateRow, WorkerRow


@dataclass(frozen=True, slots=True)
class FleetStatus:
    """`prices` are dollars per hour by a worker's id, where its instance is listed; `names` the file's, by group."""

    endpoint: EndpointRow
    template: TemplateRow | None
    groups: tuple[GroupRow, ...]
    names: dict[int, str]
    workers: tuple[WorkerRow, ...]
    prices: dict[int, float]

    @property
    def per_hour(self) -> float:
        """Of all that are listed, stopped ones included."""
        return sum(self.prices.get(row.id, 0.0) for row in self.workers)

    def as_dict(self) -> dict[str, Any]:
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


def status_of(account: Account, fleet: Fleet, actual: Actual) -> FleetStatus:
    """Raises DeployError where there is no such endpoint."""
    there = fleet_resources(fleet, actual)
    if there.endpoint is None:
        raise DeployError(f"the account has no endpoint {fleet.endpoint.name}: comfy-worker deploy apply makes it")
    names = {group.id: name for name, group in there.matches.by_name.items()}
    workers = account.workers(there.endpoint)
    instances = account.instances() if workers else ()
    prices = {one.id: one.dph for one in instances}
    foreign_groups = {group.template_hash for group in actual.groups if group.endpoint_id == there.endpoint.id}
    foreign_groups -= {group.template_hash for group in there.groups}
    others = {one.id for one in instances if one.template_hash in foreign_groups}
    own = {group.id for group in there.groups}
    workers = tuple(row for row in workers if row.id not in others and (row.group_id is None or row.group_id in own))
    return FleetStatus(there.endpoint, there.template, there.groups, names, workers, prices)
