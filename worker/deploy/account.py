"""One account at Vast: what is in it, and the changes that can be made, each safe to repeat."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from worker.deploy.errors import DeployError, KeyRefused, RateLimited, Refused, Unreachable
from worker.deploy.rows import Actual, Endpoint, Group, Instance, Template, WorkerRow

__all__ = [
    "Account",
    "Actual",
    "DeployError",
    "Endpoint",
    "Group",
    "Instance",
    "KeyRefused",
    "RateLimited",
    "Refused",
    "Template",
    "Unreachable",
    "WorkerRow",
]

CONSOLE = "https://console.vast.ai"


class Account:
    """Every method raises DeployError. Bodies are sent as they are given: complete, without nulls.

    `timeout_s` is for one request, `limit_s` for one method with all its waiting.
    """

    def __init__(
        self,
        api_key: str,
        server_url: str = CONSOLE,
        autoscaler_url: str | None = None,
        *,
        timeout_s: float = 30.0,
        limit_s: float = 90.0,
    ) -> None:
        """Without `autoscaler_url` it is Vast's own for Vast's console, else the given server."""
        self.calls = 0
        """HTTP requests so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def read(self) -> Actual:
        """Everything in four calls."""
        raise NotImplementedError

    def set_environment(self, name: str, value: str) -> None:
        """Make or overwrite a variable that all containers of the account get. Names are upper case at Vast."""
        raise NotImplementedError

    def remove_environment(self, name: str) -> None:
        """Nothing happens where it isn't there; so with every method that removes."""
        raise NotImplementedError

    def save_template(self, body: Mapping[str, Any], old: Template | None) -> Template:
        """A new template, or with `old` its next version: the hash is another, and the old one stays valid."""
        raise NotImplementedError

    def delete_template(self, template: Template) -> None:
        raise NotImplementedError

    def create_endpoint(self, body: Mapping[str, Any]) -> Endpoint:
        """Two calls: the answer holds no key. An endpoint of that name that is already there is taken only after a
        failure that left it open what happened."""
        raise NotImplementedError

    def update_endpoint(self, endpoint: Endpoint, body: Mapping[str, Any]) -> Endpoint:
        """`body` replaces the whole; the state stays."""
        raise NotImplementedError

    def set_state(self, endpoint: Endpoint, state: str) -> Endpoint:
        """`active`, `suspended` or `stopped`."""
        raise NotImplementedError

    def delete_endpoint(self, endpoint: Endpoint) -> None:
        """Its groups have to go first; whether Vast would remove them is unknown."""
        raise NotImplementedError

    def create_group(self, endpoint: Endpoint, body: Mapping[str, Any]) -> Group:
        """`body` has `template_hash` and `search_params` (text, defaults written out); `endpoint_id` is added."""
        raise NotImplementedError

    def update_group(self, group: Group, body: Mapping[str, Any]) -> Group:
        """`body` replaces the whole."""
        raise NotImplementedError

    def delete_group(self, group: Group) -> None:
        """Its instances may stay: see `instances`."""
        raise NotImplementedError

    def update_workers(self, group: Group) -> None:
        """Let the group's workers go over to its present template, one after the other."""
        raise NotImplementedError

    def workers(self, endpoint: Endpoint) -> tuple[WorkerRow, ...]:
        """All workers of all groups of the endpoint; empty while the autoscaler doesn't know it yet."""
        raise NotImplementedError

    def endpoint_logs(self, endpoint: Endpoint, level: int = 1, tail: int | None = None) -> str:
        """`level` 0 to 3 as in Vast's CLI: info0, info1, trace, debug. `tail` is the number of lines."""
        raise NotImplementedError

    def group_logs(self, group: Group, level: int = 1, tail: int | None = None) -> str:
        """As `endpoint_logs`."""
        raise NotImplementedError

    def instances(self) -> tuple[Instance, ...]:
        """Every rented machine of the account."""
        raise NotImplementedError

    def destroy_instance(self, instance: Instance) -> None:
        raise NotImplementedError
