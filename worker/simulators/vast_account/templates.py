"""Simulated templates. A hash of the content identifies a version, and old versions stay valid after a change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from worker.simulators.vast_account.refusal import CallRefused

Row = dict[str, Any]

DEFAULTS: Mapping[str, Any] = {
    **{"name": None, "image": None, "tag": None, "href": None, "repo": None, "env": None, "onstart": None},
    **{"args_str": None, "runtype": "args", "use_ssh": False, "ssh_direct": False, "jup_direct": False},
    **{"use_jupyter_lab": False, "jupyter_dir": None, "docker_login_repo": None, "docker_login_user": None},
    **{"docker_login_pass": None, "extra_filters": {}, "recommended_disk_space": 8.0, "volume_info": None},
    **{"readme": None, "readme_visible": True, "desc": None, "private": True},
}
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": lambda value, bound: value == bound,
    "neq": lambda value, bound: value != bound,
    "in": lambda value, bound: value in bound,
    "notin": lambda value, bound: value not in bound,
}


class Templates:
    """The present templates by id, and every version that ever existed by hash."""

    def __init__(self, user_id: int, ids: Iterator[int]) -> None:
        self._user_id, self._ids = user_id, ids
        self.rows: dict[int, Row] = {}
        self.versions: dict[str, Row] = {}

    def create(self, body: Mapping[str, Any], creator_id: int | None = None) -> Row:
        """Create a template. The same content by the same creator is the same template."""
        content, owner = _content(body), creator_id or self._user_id
        same = (row for row in self.rows.values() if (row["hash_id"], row["creator_id"]) == (_hash(content), owner))
        row = next(same, None) or self._store(next(self._ids), content, owner)
        return {"success": True, "template": _shown(row)}

    def change(self, body: Mapping[str, Any]) -> Row:
        """Create a new version. The id stays (unknown for the real API), and the old hash stays valid."""
        row = self._own(body.get("id"))
        if row["hash_id"] != body.get("hash_id"):
            raise CallRefused(404, "no_such_template", "there is no template with this id and hash")
        return {"success": True, "template": _shown(self._store(row["id"], _content(body), self._user_id))}

    def remove(self, body: Mapping[str, Any]) -> Row:
        """Delete a template. Groups that use it keep working."""
        hashed = [row["id"] for row in self.rows.values() if row["hash_id"] == body.get("hash_id")]
        del self.rows[self._own(body.get("template_id") or next(iter(hashed), None))["id"]]
        return {"success": True}

    def listed(self, filters: Mapping[str, Mapping[str, Any]]) -> list[Row]:
        """Return the own templates and the public ones of others. Raises CallRefused for an unknown operator."""
        visible = [row for row in self.rows.values() if row["creator_id"] == self._user_id or not row["private"]]
        return [
            _shown(row) for row in visible if all(_matches(row.get(name), bounds) for name, bounds in filters.items())
        ]

    def _own(self, number: object) -> Row:
        """Return one of the account's own templates. Raises CallRefused."""
        row = self.rows.get(number) if isinstance(number, int) else None
        if row is None or row["creator_id"] != self._user_id:
            raise CallRefused(404, "no_such_template", "the account has no such template")
        return row

    def _store(self, number: int, content: Row, owner: int) -> Row:
        """Store a template and its version, and return its row."""
        row = {**content, "id": number, "hash_id": _hash(content), "creator_id": owner, "created_at": 0.0}
        row |= {"count_created": 0, "recommended": False, "default_tag": None}
        self.rows[number] = self.versions[row["hash_id"]] = row
        return row


def _content(body: Mapping[str, Any]) -> Row:
    """Return all fields of a template, with defaults for missing ones."""
    return {name: body[name] if body.get(name) is not None else default for name, default in DEFAULTS.items()}


def _hash(content: Row) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _shown(row: Row) -> Row:
    """Return a template as the API lists it: the filters as text, without the password (unknown for the real API)."""
    return {**row, "extra_filters": json.dumps(row["extra_filters"]), "docker_login_pass": None}


def _matches(value: object, bounds: Mapping[str, Any]) -> bool:
    """Return whether a value fits all bounds of a filter."""
    if unknown := bounds.keys() - COMPARISONS:
        raise CallRefused(400, "invalid_args", f"unknown operators {sorted(unknown)}")
    return all(COMPARISONS[op](value, bound) for op, bound in bounds.items())
