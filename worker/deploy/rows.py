"""The things that an account at Vast holds, in the shape in which they are compared with the wanted ones.

A `body` has the fields that Vast's API takes, so that it can be sent back: without ids, keys, dates and all else that
only the server sets, and without nulls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Template:
    """What a worker's container is started with. `hash` names this very version, and stays valid when it is changed.

    `body["extra_filters"]` is decoded. `docker_login_pass` is never in it: whether Vast gives it back is unknown.
    """

    id: int
    name: str
    hash: str
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What clients ask for by name. `state` is active, suspended or stopped; `key` is what they send."""

    id: int
    name: str
    state: str
    body: Mapping[str, Any]
    key: SecretStr


@dataclass(frozen=True, slots=True)
class Group:
    """Workers of one kind under an endpoint. `search` is the query as Vast understood it: {field: {operator: value}}."""

    id: int
    endpoint_id: int
    template_hash: str
    search: Mapping[str, Any]
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as the autoscaler sees it. `status` is lower case (`idle` is ready). `measured_perf` is workload/s, and
    means something once it is idle. `group_id` is None where Vast doesn't say."""

    id: int
    group_id: int | None
    status: str
    measured_perf: float
    error: bool
    raw: Mapping[str, Any]

    @property
    def ready(self) -> bool:
        """Routed to, and measured."""
        return self.status == "idle" and self.measured_perf > 0 and not self.error


@dataclass(frozen=True, slots=True)
class Instance:
    """A rented machine. `dph` is dollars per hour."""

    id: int
    label: str
    status: str
    dph: float
    template_hash: str


@dataclass(frozen=True, slots=True)
class Actual:
    """All that a fleet can be made of, oldest first. Templates are the account's own; of the environment only names."""

    user_id: int
    templates: tuple[Template, ...]
    endpoints: tuple[Endpoint, ...]
    groups: tuple[Group, ...]
    environment: frozenset[str]
