"""The rows of an account at Vast, in the form in which they are compared with the desired state.

A `body` has the fields that Vast's API accepts, so that it can be sent back. It has no ids, keys, dates or other fields
that only the server sets, and no nulls.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import SecretStr

from worker.fleet.vast.search import normal

Row = Mapping[str, Any]

TEMPLATE_FIELDS = (
    *("name", "image", "tag", "href", "repo", "env", "onstart", "args_str", "runtype", "use_ssh", "ssh_direct"),
    *("jup_direct", "use_jupyter_lab", "jupyter_dir", "docker_login_repo", "docker_login_user", "extra_filters"),
    *("recommended_disk_space", "volume_info", "readme", "readme_visible", "desc", "private"),
)
ENDPOINT_FIELDS = (
    *("endpoint_name", "min_load", "min_cold_load", "target_util", "cold_mult", "cold_workers", "max_workers"),
    *("max_queue_time", "target_queue_time", "inactivity_timeout"),
)
GROUP_FIELDS = (
    *("template_hash", "search_params", "launch_args", "gpu_ram", "min_cold_load", "max_workers"),
    *("docker_login_repo", "docker_login_user"),
)
GROUP_IDS = ("workergroup_id", "autogroup_id", "autojob_id")
"""Possible names of the field with the id of a worker's group. No source shows a row that has one."""
ENCODED = frozenset({"extra_filters", "volume_info"})
"""Fields that are sent as objects and read back as JSON text."""


def known_fields(row: Row, fields: tuple[str, ...]) -> dict[str, Any]:
    """Return the given fields of a row that are not null. Fields with JSON text are decoded."""
    return {name: _decoded(name, row[name]) for name in fields if row.get(name) is not None}


def _decoded(name: str, value: object) -> object:
    """Return the value of a field, decoded if the field has JSON text."""
    if name not in ENCODED or not isinstance(value, str):
        return value
    return json.loads(value) if value else {}


@dataclass(frozen=True, slots=True)
class TemplateRow:
    """A template: what a worker's container is started with.

    `hash` identifies this version, and stays valid after a change. `body["extra_filters"]` is decoded. The body never
    has `docker_login_pass`, because it is unknown whether Vast returns it.
    """

    id: int
    name: str
    hash: str
    body: Mapping[str, Any]

    @classmethod
    def read(cls, row: Row) -> Self:
        """Return the template that a row of Vast's JSON describes."""
        return cls(int(row["id"]), str(row["name"]), str(row["hash_id"]), known_fields(row, TEMPLATE_FIELDS))


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """An endpoint that clients call by its name, with `key`. `state` is active, suspended or stopped."""

    id: int
    name: str
    state: str
    body: Mapping[str, Any]
    key: SecretStr

    @classmethod
    def read(cls, row: Row) -> Self:
        """Return the endpoint that a row of Vast's JSON describes."""
        return cls(
            id=int(row["id"]),
            name=str(row["endpoint_name"]),
            state=str(row.get("endpoint_state") or "active"),
            body=known_fields(row, ENDPOINT_FIELDS),
            key=SecretStr(str(row.get("api_key") or "")),
        )


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group of workers of one endpoint.

    `search` is the query as Vast understood it, {field: {operator: value}}, in the form of `search.normal`. It has more
    fields than the text that was sent.
    """

    id: int
    endpoint_id: int
    template_hash: str
    search: Mapping[str, Any]
    body: Mapping[str, Any]

    @classmethod
    def read(cls, row: Row) -> Self:
        """Return the group that a row of Vast's JSON describes."""
        return cls(
            id=int(row["id"]),
            endpoint_id=int(row["endpoint_id"]),
            template_hash=str(row.get("template_hash") or ""),
            search=normal(row.get("search_query")),
            body=known_fields(row, GROUP_FIELDS),
        )


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as the autoscaler lists it.

    `status` is in lower case; `idle` means ready. `measured_perf` is units a second, and only valid when the
    worker is idle. `group_id` is None when Vast does not name the group.
    """

    id: int
    group_id: int | None
    status: str
    measured_perf: float
    error: bool
    raw: Mapping[str, Any] = field(repr=False)

    @classmethod
    def read(cls, row: Row) -> Self:
        """Return the worker that a row of Vast's JSON describes."""
        status = str(row.get("status") or "unknown").lower()
        group = next((row[name] for name in GROUP_IDS if row.get(name) is not None), None)
        return cls(
            id=int(row["id"]),
            group_id=None if group is None else int(group),
            status=status,
            measured_perf=float(row.get("measured_perf") or 0.0),
            error=status == "error" or bool(row.get("error_msg")),
            raw=row,
        )

    @property
    def ready(self) -> bool:
        """Whether the router sends requests to the worker and its speed is measured."""
        return self.status == "idle" and self.measured_perf > 0 and not self.error


@dataclass(frozen=True, slots=True)
class Instance:
    """A rented machine.

    `dph` is its price in dollars per hour, `machine` describes the GPUs and the host, and `env` has the container's
    variables, where Vast lists them.
    """

    id: int
    label: str
    status: str
    dph: float
    template_hash: str
    machine: str = ""
    env: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, row: Row) -> Self:
        """Return the instance that a row of Vast's JSON describes."""
        return cls(
            id=int(row["id"]),
            label=str(row.get("label") or ""),
            status=str(row.get("actual_status") or row.get("cur_state") or "unknown"),
            dph=float(row.get("dph_total") or 0.0),
            template_hash=str(row.get("template_hash_id") or ""),
            machine=_machine(row),
            env=_variables(row.get("extra_env")),
        )


def _machine(row: Row) -> str:
    """Return a description such as `2x RTX 4090, machine 4711, DE`, from the fields that the row has."""
    count = int(row.get("num_gpus") or 1)
    gpu = str(row.get("gpu_name") or "")
    parts = [f"{count}x {gpu}" if gpu and count > 1 else gpu]
    parts.append(f"machine {row['machine_id']}" if row.get("machine_id") is not None else "")
    parts.append(str(row.get("geolocation") or ""))
    return ", ".join(filter(None, parts))


def _variables(value: object) -> dict[str, str]:
    """Return a container's variables, which Vast lists as a mapping or as pairs. Anything else gives an empty dict."""
    if isinstance(value, Mapping):
        return {str(name): str(item) for name, item in value.items()}
    pairs = value if isinstance(value, list) else []
    return {str(pair[0]): str(pair[1]) for pair in pairs if isinstance(pair, list) and len(pair) == 2}


@dataclass(frozen=True, slots=True)
class AccountState:
    """All rows of an account that a fleet can consist of, oldest first.

    `templates` are the account's own, and `environment` has the names of its variables.
    """

    user_id: int
    templates: tuple[TemplateRow, ...]
    endpoints: tuple[EndpointRow, ...]
    groups: tuple[GroupRow, ...]
    environment: frozenset[str]
