"""The contents of the simulated account, and the effect of each call on them. There is no I/O and no clock."""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Mapping
from typing import Any

from worker.fleet.vast.search import DEFAULTS, parse
from worker.simulators.vast_account.refusal import CallRefused
from worker.simulators.vast_account.templates import Templates

Body = Mapping[str, Any]
Row = dict[str, Any]
Response = dict[str, Any]
"""The JSON object that the API returns for a call."""

PLAIN = re.compile(r"[A-Za-z0-9_.-]+")
ENDPOINT_DEFAULTS: Body = {
    **{"min_load": 10.0, "min_cold_load": 0.0, "target_util": 0.9, "cold_mult": 3.0, "cold_workers": 5},
    **{"max_workers": 16, "max_queue_time": 30.0, "target_queue_time": 10.0, "inactivity_timeout": None},
    **{"autoscaler_instance": "prod", "endpoint_state": "active"},
}
"""Defaults according to the docs. Vast's own tools send other values."""
GROUP_DEFAULTS: Body = {
    **{"launch_args": None, "gpu_ram": 24.0, "template_id": None, "min_cold_load": None, "max_workers": None},
    **{"docker_login_repo": None, "docker_login_user": None, "autoscaler_instance": "prod"},
}


class Holdings:
    """The rows of the account by id, in the form in which the API lists them."""

    def __init__(self) -> None:
        self.user_id = 4711
        self.api_key = f"account-{secrets.token_hex(24)}"
        self.environment: dict[str, str] = {}
        self.endpoints: dict[int, Row] = {}
        self.groups: dict[int, Row] = {}
        self.endpoint_keys: dict[str, str] = {}
        """Keys for endpoints with these names. Other endpoints get new keys."""
        self.offers: list[Row] = []
        """Machines that can be rented, in the form in which the search returns them. Empty unless it is set."""
        self._ids = itertools.count(1001)
        self.templates = Templates(self.user_id, self._ids)

    def set_variable(self, body: Body, *, new: bool, plain: bool) -> Response:
        """Create a variable if `new` is true, otherwise change one. `plain` rejects values with special characters.

        Raises CallRefused for such a value, and for a name that exists already (`new`) or does not exist.
        """
        name = str(body["key"]).upper()
        if plain and not PLAIN.fullmatch(str(body["value"])):
            raise CallRefused(400, "invalid_args", f"value {body['value']} does not match {PLAIN.pattern}")
        if new and name in self.environment:
            raise CallRefused(400, "existing_key", f"{name} already exists")
        if not new and name not in self.environment:
            raise CallRefused(404, "no_such_key", f"{name} does not exist")
        self.environment[name] = str(body["value"])
        return {"success": True, "msg": "saved"}

    def remove_variable(self, body: Body) -> Response:
        """Delete a variable. Raises CallRefused when it does not exist."""
        if self.environment.pop(str(body["key"]).upper(), None) is None:
            raise CallRefused(404, "no_such_key", "no such key")
        return {"success": True, "msg": "removed"}

    def create_endpoint(self, body: Body) -> Response:
        """Create an endpoint, even with a name that another endpoint has. The behavior of the real API is unknown."""
        number = next(self._ids)
        name = body.get("endpoint_name") or f"endpoint-{number}"
        self.endpoints[number] = {
            **_merged(ENDPOINT_DEFAULTS, body),
            "endpoint_name": name,
            "id": number,
            "user_id": self.user_id,
            "api_key": self.endpoint_keys.get(name) or f"endpoint-{secrets.token_hex(24)}",
            "created_at": 0.0,
        }
        return {"success": True, "result": number}

    def endpoint(self, number: int) -> Row:
        """Return an endpoint. Raises CallRefused when it does not exist."""
        return _existing(self.endpoints, number)

    def group(self, number: int) -> Row:
        """Return a group. Raises CallRefused when it does not exist."""
        return _existing(self.groups, number)

    def change_endpoint(self, number: int, body: Body, replace: bool) -> Response:
        """Change an endpoint. `replace` resets fields that are not in the body to their defaults.

        Raises CallRefused when the endpoint does not exist.
        """
        row = _existing(self.endpoints, number)
        kept_names = ("endpoint_name", "id", "user_id", "api_key", "created_at", "endpoint_state")
        base = {**ENDPOINT_DEFAULTS, **{name: row[name] for name in kept_names}} if replace else row
        self.endpoints[number] = _merged(base, body)
        return {"success": True}

    def remove_endpoint(self, number: int) -> Response:
        """Delete an endpoint, and keep its groups. Raises CallRefused when the endpoint does not exist.

        Whether the real API deletes the groups too is unknown.
        """
        _existing(self.endpoints, number)
        del self.endpoints[number]
        return {"success": True}

    def create_group(self, body: Body) -> Response:
        """Create a group in an endpoint. Raises CallRefused when the endpoint or the template does not exist."""
        endpoint_id = body.get("endpoint_id")
        if endpoint_id not in self.endpoints:
            raise CallRefused(400, "invalid_args", "no such endpoint")
        number = next(self._ids)
        fixed = {"id": number, "endpoint_id": endpoint_id, "api_key": f"group-{secrets.token_hex(24)}"}
        self.groups[number] = self._changed_group({**GROUP_DEFAULTS, "template_hash": None, **fixed}, body)
        return {"success": True, "id": number}

    def change_group(self, number: int, body: Body, replace: bool) -> Response:
        """Change a group. `replace` resets fields that are not in the body to their defaults.

        Raises CallRefused when the group or the template does not exist.
        """
        row = _existing(self.groups, number)
        fixed = {name: row[name] for name in ("id", "endpoint_id", "api_key")}
        base = {**GROUP_DEFAULTS, "template_hash": None, **fixed} if replace else row
        self.groups[number] = self._changed_group(base, body)
        return {"success": True}

    def remove_group(self, number: int) -> Response:
        """Delete a group. Raises CallRefused when it does not exist."""
        _existing(self.groups, number)
        del self.groups[number]
        return {"success": True}

    def _changed_group(self, base: Body, body: Body) -> Row:
        """Return the group `base` with the changes of `body`. Raises CallRefused when the template does not exist.

        The search for machines is always replaced, and Vast's default filters are added to it.
        """
        row = _merged(base, body)
        if row["template_hash"] not in self.templates.versions:
            raise CallRefused(400, "invalid_args", "no such template")
        row["search_params"] = str(body.get("search_params") or "")
        row["search_query"] = {**DEFAULTS, **parse(row["search_params"])}
        return row


def _merged(base: Body, body: Body) -> Row:
    """Return `base` with the values of `body`, except null values and fields that `base` does not have."""
    changes = {name: value for name, value in body.items() if name in base and value is not None}
    return {**base, **changes}


def _existing(rows: Mapping[int, Row], number: int) -> Row:
    """Return a row. Raises CallRefused when it does not exist."""
    if number not in rows:
        raise CallRefused(404, "no_such_object", f"no object {number}")
    return rows[number]
