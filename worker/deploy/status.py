"""What a fleet is doing: its endpoint, its groups, its workers and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from worker.deploy.account import Account
from worker.deploy.errors import DeployError
from worker.deploy.fleet import Fleet
from worker.deploy.offer import query_text
from worker.deploy.plan import present
from worker.deploy.rows import Actual, Endpoint, Group, Template, WorkerRow


@dataclass(frozen=True, slots=True)
class Status:
    """`prices` are dollars per hour by a worker's id, where its instance is listed; `names` the file's, by group."""

    endpoint: Endpoint
    template: Template | None
    groups: tuple[Group, ...]
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


def status_of(account: Account, fleet: Fleet, actual: Actual) -> Status:
    """Raises DeployError where there is no such endpoint."""
    there = present(fleet, actual)
    if there.endpoint is None:
        raise DeployError(f"the account has no endpoint {fleet.endpoint.name}: comfy-worker deploy apply makes it")
    names = {group.id: name for name, group in there.pairs.found.items()}
    workers = account.workers(there.endpoint)
    prices = {one.id: one.dph for one in account.instances()} if workers else {}
    return Status(there.endpoint, there.template, there.groups, names, workers, prices)
