"""The workers of the simulated groups and their instances. There is no I/O, and the caller passes the time."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vastai.utils import parse_env

from worker.simulators.vast_account.fault_config import AccountFaultConfig, WorkerLifecycle

Row = dict[str, Any]

PLACEHOLDER = 50.0
"""Speed that is listed for a worker that is not ready, so that no caller takes a number as a sign of readiness."""


@dataclass(slots=True)
class AccountWorker:
    """One worker and its instance, which has the same id. `started_at` is when it started with its present template."""

    id: int
    group_id: int
    endpoint_id: int
    template_hash: str
    started_at: float


class AccountWorkers:
    """All workers by id. Each group has as many as its endpoint's minimum, which is at least `cold_workers`."""

    def __init__(self) -> None:
        self.members: dict[int, AccountWorker] = {}
        self._ids = itertools.count(90_001)

    def rent_missing_workers(self, groups: Mapping[int, Row], endpoints: Mapping[int, Row], now: float) -> None:
        """Add workers to each group of an active endpoint until it has the endpoint's minimum.

        Workers of a deleted group are kept, as Vast's CLI warns.
        """
        for group in groups.values():
            endpoint = endpoints.get(group["endpoint_id"])
            if endpoint is None or endpoint["endpoint_state"] != "active":
                continue
            present_count = sum(member.group_id == group["id"] for member in self.members.values())
            for _ in range(_minimum(endpoint) - present_count):
                number = next(self._ids)
                template_hash = group["template_hash"]
                self.members[number] = AccountWorker(number, group["id"], endpoint["id"], template_hash, now)

    def restart_outdated(self, group: Row, now: float) -> list[int]:
        """Restart the workers of a group that have another template than the group, and return their ids.

        All restart at once. How fast Vast updates its workers is unknown.
        """
        group_members = [member for member in self.members.values() if member.group_id == group["id"]]
        outdated = [member for member in group_members if member.template_hash != group["template_hash"]]
        for member in outdated:
            member.template_hash, member.started_at = group["template_hash"], now
        return [member.id for member in outdated]

    def rows(
        self, endpoint: Row, templates: Mapping[str, Row], fault_config: AccountFaultConfig, now: float
    ) -> list[Row]:
        """Return the workers of an endpoint as `POST /get_endpoint_workers/` lists them.

        `templates` are the templates by hash.
        """
        endpoint_members = [member for member in self.members.values() if member.endpoint_id == endpoint["id"]]
        is_stopped = endpoint["endpoint_state"] == "stopped"
        rows = []
        for member in endpoint_members:
            lifecycle = lifecycle_of(member, templates, fault_config)
            status = "stopped" if is_stopped else status_of(member, lifecycle, now)
            perf = fault_config.measured_perf if status == "idle" else PLACEHOLDER
            row = {"id": member.id, "status": status, "measured_perf": perf, "perf": perf, "dlperf": 50.0}
            row |= {"cur_load": 0.0, "new_load": 0.0, "cur_load_rolling_avg": 0.0, "cur_perf": 0.0}
            row |= {"reliability": 0.99, "reqs_working": 0, "disk_usage": 1.0, "loaded_at": 0.0, "started_at": 0.0}
            if fault_config.groups_named:
                row["workergroup_id"] = member.group_id
            rows.append(row)
        return rows

    def instances(self, templates: Mapping[str, Row]) -> list[Row]:
        """Return the rows of the list of instances, which name the template of each instance but not its group.

        `templates` are the templates by hash.
        """
        rows = []
        for member in self.members.values():
            variables = parse_env(templates.get(member.template_hash, {}).get("env"))
            row: Row = {"id": member.id, "label": "", "actual_status": "running", "machine_id": 5000 + member.id % 1000}
            row |= {"gpu_name": "RTX 4090", "num_gpus": 1, "geolocation": "DE", "dph_total": 0.25}
            row |= {"template_hash_id": member.template_hash, "start_date": 0.0}
            rows.append(row | {"extra_env": [[name, value] for name, value in variables.items()]})
        return rows


def _minimum(endpoint: Row) -> int:
    """Return the number of workers that an endpoint keeps without load."""
    has_minimum_load = float(endpoint["min_load"] or 0.0) > 0
    minimum = max(int(endpoint["cold_workers"] or 0), 1 if has_minimum_load else 0)
    return min(minimum, int(endpoint["max_workers"]))


def lifecycle_of(
    member: AccountWorker, templates: Mapping[str, Row], fault_config: AccountFaultConfig
) -> WorkerLifecycle:
    """Return the lifecycle that is configured for the hash of a worker's template, or for its image.

    A worker for which neither is configured has the general lifecycle. `templates` are the templates by hash.
    """
    template = templates.get(member.template_hash, {})
    image = f"{template.get('image')}:{template.get('tag')}"
    return (
        fault_config.lifecycles.get(member.template_hash)
        or fault_config.lifecycles.get(image)
        or fault_config.lifecycle
    )


def status_of(member: AccountWorker, lifecycle: WorkerLifecycle, now: float) -> str:
    """Return the status of a worker: `creating`, then `loading`, then the final status of its lifecycle."""
    age = now - member.started_at
    if age < lifecycle.creating_s:
        return "creating"
    return "loading" if age < lifecycle.creating_s + lifecycle.loading_s else lifecycle.final_status
