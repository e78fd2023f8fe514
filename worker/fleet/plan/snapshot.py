"""Snapshots: an account's rows of one fleet, as JSON without secrets, for plans without a key and for comparison."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr
from vastai.utils import parse_env

from worker.errors import SnapshotError
from worker.fleet.definition.fleet import Fleet
from worker.fleet.definition.secret import MASK, masked
from worker.fleet.plan.ownership import ownership
from worker.fleet.plan.versions import mark_of, versions_of
from worker.fleet.vast.rows import AccountState, EndpointRow, GroupRow, TemplateRow

VERSION = 1
UNSHOWN = frozenset({"docker_login_user", "docker_login_pass"})


def dump(fleet: Fleet, actual: AccountState) -> dict[str, Any]:
    """Return the rows of the account that may belong to the fleet, as JSON values.

    A template is included if it has the fleet's mark. A template with the name of the fleet's template is included if
    it has no mark, or if an included endpoint uses it. A group is included with its endpoint.
    """
    endpoints = _related_endpoints(fleet, actual)
    ids = {endpoint.id for endpoint in endpoints}
    used_hashes = {group.template_hash for group in actual.groups if group.endpoint_id in ids}
    return {
        "version": VERSION,
        "user_id": actual.user_id,
        "templates": [
            {"id": row.id, "name": row.name, "hash": row.hash, "body": _without_secrets(row.body)}
            for row in actual.templates
            if _is_related(fleet, row, used_hashes)
        ],
        "endpoints": [
            {"id": row.id, "name": row.name, "state": row.state, "body": dict(row.body)} for row in endpoints
        ],
        "groups": [
            {
                "id": row.id,
                "endpoint_id": row.endpoint_id,
                "template_hash": row.template_hash,
                "search": dict(row.search),
                "body": _without_secrets(row.body),
            }
            for row in actual.groups
            if row.endpoint_id in ids
        ],
        "environment": sorted(actual.environment.intersection(fleet.environment)),
    }


def _is_related(fleet: Fleet, template: TemplateRow, used_hashes: set[str]) -> bool:
    """Return whether a template may belong to the fleet. `used_hashes` are the template hashes of its endpoint."""
    mark = mark_of(template.body)
    if mark == fleet.id:
        return True
    return template.name == fleet.template.name and (template.hash in used_hashes or not mark)


def _related_endpoints(fleet: Fleet, actual: AccountState) -> list[EndpointRow]:
    """Return the endpoints with the file's name. If none of them is the fleet's, add those that use its template."""
    named = [endpoint for endpoint in actual.endpoints if endpoint.name == fleet.endpoint.name]
    if ownership(fleet, actual).endpoints:
        return named
    own_templates = [template for template in actual.templates if mark_of(template.body) == fleet.id]
    hashes = {version for template in own_templates for version in versions_of(template)}
    users = {group.endpoint_id for group in actual.groups if group.template_hash in hashes}
    return [endpoint for endpoint in actual.endpoints if endpoint in named or endpoint.id in users]


def load(text: str | bytes) -> AccountState:
    """Return the state of the account that a snapshot describes. Raises SnapshotError for any other text."""
    try:
        data = json.loads(text)
        if data["version"] != VERSION:
            raise SnapshotError(f"the snapshot has version {data['version']!r}, not {VERSION}: make a new one")
        return AccountState(
            user_id=data["user_id"],
            templates=tuple(TemplateRow(**row) for row in data["templates"]),
            endpoints=tuple(EndpointRow(**row, key=SecretStr("")) for row in data["endpoints"]),
            groups=tuple(GroupRow(**row) for row in data["groups"]),
            environment=frozenset(data["environment"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"the file is not a snapshot: {type(error).__name__} {error}") from error


def fingerprint(fleet: Fleet, actual: AccountState) -> str:
    """Return a short hash of the fleet's rows in the account, which changes with any of them."""
    text = json.dumps(dump(fleet, actual), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _without_secrets(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body without the login, and with other secrets replaced by `***`.

    A user may have written secrets into a template by hand.
    """
    shown = {name: value for name, value in body.items() if name not in UNSHOWN}
    if isinstance(env := shown.get("env"), str):
        for name, value in parse_env(env).items():
            if masked(name, value) != value:
                env = env.replace(value, MASK)
        shown["env"] = env
    return {
        name: masked("", value) if isinstance(value, str) and name in TEXTS else value for name, value in shown.items()
    }


TEXTS = frozenset({"onstart", "args_str", "readme", "launch_args"})
