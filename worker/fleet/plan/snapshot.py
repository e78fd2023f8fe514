"""What an account holds of one fleet, as JSON without secrets: to plan against without a key, and to know it again."""

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
from worker.fleet.vast.rows import Actual, EndpointRow, GroupRow, TemplateRow

VERSION = 1
UNSHOWN = frozenset({"docker_login_user", "docker_login_pass"})


def dump(fleet: Fleet, actual: Actual) -> dict[str, Any]:
    """What has the fleet's mark, or its names without a mark; nothing of the account's other things."""
    endpoints = _near(fleet, actual)
    ids = {one.id for one in endpoints}
    used = {group.template_hash for group in actual.groups if group.endpoint_id in ids}
    return {
        "version": VERSION,
        "user_id": actual.user_id,
        "templates": [
            {"id": one.id, "name": one.name, "hash": one.hash, "body": _clean(one.body)}
            for one in actual.templates
            if mark_of(one.body) == fleet.id
            or (one.name == fleet.template.name and (one.hash in used or not mark_of(one.body)))
        ],
        "endpoints": [
            {"id": one.id, "name": one.name, "state": one.state, "body": dict(one.body)} for one in endpoints
        ],
        "groups": [
            {
                **{"id": one.id, "endpoint_id": one.endpoint_id, "template_hash": one.template_hash},
                **{"search": dict(one.search), "body": _clean(one.body)},
            }
            for one in actual.groups
            if one.endpoint_id in ids
        ],
        "environment": sorted(actual.environment.intersection(fleet.environment)),
    }


def _near(fleet: Fleet, actual: Actual) -> list[EndpointRow]:
    """Endpoints of the file's name. Where none of them is the fleet's, also those that use its template."""
    named = [one for one in actual.endpoints if one.name == fleet.endpoint.name]
    if ownership(fleet, actual).endpoints:
        return named
    hashes = {hash_ for one in actual.templates if mark_of(one.body) == fleet.id for hash_ in versions_of(one)}
    users = {group.endpoint_id for group in actual.groups if group.template_hash in hashes}
    return [one for one in actual.endpoints if one in named or one.id in users]


def load(text: str | bytes) -> Actual:
    """Raises SnapshotError."""
    try:
        data = json.loads(text)
        if data["version"] != VERSION:
            raise SnapshotError(f"snapshot of version {data['version']!r}, not {VERSION}: make a new one")
        return Actual(
            user_id=data["user_id"],
            templates=tuple(TemplateRow(**row) for row in data["templates"]),
            endpoints=tuple(EndpointRow(**row, key=SecretStr("")) for row in data["endpoints"]),
            groups=tuple(GroupRow(**row) for row in data["groups"]),
            environment=frozenset(data["environment"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise SnapshotError(f"this is no snapshot: {type(error).__name__} {error}") from error


def fingerprint(fleet: Fleet, actual: Actual) -> str:
    """Equal as long as nothing of the fleet has changed in the account."""
    text = json.dumps(dump(fleet, actual), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _clean(body: Mapping[str, Any]) -> dict[str, Any]:
    """Somebody may have written a secret into a template by hand."""
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
