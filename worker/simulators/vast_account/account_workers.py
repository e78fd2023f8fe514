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

    def follow(self, groups: Mapping[int, Row], endpoints: Mapping[int, Row], now: float) -> None:
        """Rent the missing workers. Those of a deleted group stay, as Vast's CLI warns."""
        for group in groups.values():
            endpoint = endpoints.get(group["endpoint_id"])
            if endpoint is None or endpoint["endpoint_state"] != "active":
                continue
            present = sum(member.group_id == group["id"] for member in self.members.values())
            for _ in range(_minimum(endpoint) - present):
                number = next(self._ids)
                hash_id = group["template_hash"]
                self.members[number] = AccountWorker(number, group["id"], endpoint["id"], hash_id, now)

    def update(self, group: Row, now: float) -> list[int]:
        """Restart the workers of a group that have another template than the group, and return their ids.

        The pace of the real updates is unknown.
        """
        late = [member for member in self.members.values() if member.group_id == group["id"]]
        late = [member for member in late if member.template_hash != group["template_hash"]]
        for member in late:
            member.template_hash, member.started_at = group["template_hash"], now
        return [member.id for member in late]

    def rows(self, endpoint: Row, images: Mapping[str, Row], fault_config: AccountFaultConfig, now: float) -> list[Row]:
        """Return the rows of `POST /get_endpoint_workers/`."""
        own = [member for member in self.members.values() if member.endpoint_id == endpoint["id"]]
        stopped = endpoint["endpoint_state"] == "stopped"
        rows = []
        for member in own:
            status = "stopped" if stopped else status_of(member, lifecycle_of(member, images, fault_config), now)
            perf = fault_config.measured_perf if status == "idle" else PLACEHOLDER
            row = {"id": member.id, "status": status, "measured_perf": perf, "perf": perf, "dlperf": 50.0}
            row |= {"cur_load": 0.0, "new_load": 0.0, "cur_load_rolling_avg": 0.0, "cur_perf": 0.0}
            row |= {"reliability": 0.99, "reqs_working": 0, "disk_usage": 1.0, "loaded_at": 0.0, "started_at": 0.0}
            rows.append(row | ({"workergroup_id": member.group_id} if fault_config.groups_named else {}))
        return rows

    def instances(self, images: Mapping[str, Row]) -> list[Row]:
        """Return the rows of the list of instances, which name the template of each instance but not its group."""
        return [
            {
                **{"id": member.id, "label": "", "actual_status": "running", "machine_id": 5000 + member.id % 1000},
                **{"gpu_name": "RTX 4090", "num_gpus": 1, "geolocation": "DE"},
                **{"dph_total": 0.25, "template_hash_id": member.template_hash, "start_date": 0.0},
                "extra_env": [
                    [name, value] for name, value in parse_env(images.get(member.template_hash, {}).get("env")).items()
                ],
            }
            for member in self.members.values()
        ]


def _minimum(endpoint: Row) -> int:
    """Return the number of workers that an endpoint keeps without load."""
    floor = max(int(endpoint["cold_workers"] or 0), int(float(endpoint["min_load"] or 0.0) > 0))
    return min(floor, int(endpoint["max_workers"]))


def lifecycle_of(member: AccountWorker, images: Mapping[str, Row], fault_config: AccountFaultConfig) -> WorkerLifecycle:
    """Return the lifecycle of a worker, by its template's hash, by its image, or the general one."""
    template = images.get(member.template_hash, {})
    image = f"{template.get('image')}:{template.get('tag')}"
    return (
        fault_config.lifecycles.get(member.template_hash)
        or fault_config.lifecycles.get(image)
        or fault_config.lifecycle
    )


def status_of(member: AccountWorker, lifecycle: WorkerLifecycle, now: float) -> str:
    """Return the status of a worker, which depends on the time since its start."""
    age = now - member.started_at
    if age < lifecycle.creating_s:
        return "creating"
    return "loading" if age < lifecycle.creating_s + lifecycle.loading_s else lifecycle.ends
