"""Simulated templates. A hash of the content identifies a version, and old versions stay valid after a change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from worker.simulators.vast_account.refusal import CallRefused

Row = dict[str, Any]
Response = dict[str, Any]
"""The JSON object that the API returns for a call."""

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

    def create(self, body: Mapping[str, Any], creator_id: int | None = None) -> Response:
        """Create a template, or return the existing one with the same content and the same creator.

        The account is the creator unless `creator_id` names another.
        """
        content = _content(body)
        creator_id = creator_id or self._user_id
        for row in self.rows.values():
            if row["hash_id"] == _hash(content) and row["creator_id"] == creator_id:
                return {"success": True, "template": _shown(row)}
        return {"success": True, "template": _shown(self._store(next(self._ids), content, creator_id))}

    def change(self, body: Mapping[str, Any]) -> Response:
        """Create a new version of a template. The old hash stays valid. Raises CallRefused for a wrong id or hash.

        The template keeps its id. Whether it does so at Vast is unknown.
        """
        row = self._own_template(body.get("id"))
        if row["hash_id"] != body.get("hash_id"):
            raise CallRefused(404, "no_such_template", "there is no template with this id and hash")
        return {"success": True, "template": _shown(self._store(row["id"], _content(body), self._user_id))}

    def remove(self, body: Mapping[str, Any]) -> Response:
        """Delete the template with the id or the hash in the body. Raises CallRefused when there is none.

        Groups that use the template keep working.
        """
        same_hash_ids = [row["id"] for row in self.rows.values() if row["hash_id"] == body.get("hash_id")]
        first_id = same_hash_ids[0] if same_hash_ids else None
        row = self._own_template(body.get("template_id") or first_id)
        del self.rows[row["id"]]
        return {"success": True}

    def listed(self, filters: Mapping[str, Mapping[str, Any]]) -> list[Row]:
        """Return the templates that match the filters: the account's own and the public ones of others.

        Raises CallRefused for an unknown operator.
        """
        visible = [row for row in self.rows.values() if row["creator_id"] == self._user_id or not row["private"]]
        return [
            _shown(row) for row in visible if all(_matches(row.get(name), bounds) for name, bounds in filters.items())
        ]

    def _own_template(self, number: object) -> Row:
        """Return the template with this id. Raises CallRefused when the account has no such template."""
        row = self.rows.get(number) if isinstance(number, int) else None
        if row is None or row["creator_id"] != self._user_id:
            raise CallRefused(404, "no_such_template", "the account has no such template")
        return row

    def _store(self, number: int, content: Row, creator_id: int) -> Row:
        """Store a template under its id and this version under its hash. Return the row."""
        row = {**content, "id": number, "hash_id": _hash(content), "creator_id": creator_id, "created_at": 0.0}
        row |= {"count_created": 0, "recommended": False, "default_tag": None}
        self.rows[number] = self.versions[row["hash_id"]] = row
        return row


def _content(body: Mapping[str, Any]) -> Row:
    """Return all fields of a template, with defaults for missing ones."""
    return {name: body[name] if body.get(name) is not None else default for name, default in DEFAULTS.items()}


def _hash(content: Row) -> str:
    """Return the hash that identifies a version of a template."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def _shown(row: Row) -> Row:
    """Return a template as the API lists it, with its filters as text.

    The password is left out. Whether Vast does so is unknown.
    """
    return {**row, "extra_filters": json.dumps(row["extra_filters"]), "docker_login_pass": None}


def _matches(value: object, bounds: Mapping[str, Any]) -> bool:
    """Return whether a value satisfies all bounds of a filter. Raises CallRefused for an unknown operator."""
    unknown = bounds.keys() - COMPARISONS
    if unknown:
        raise CallRefused(400, "invalid_args", f"unknown operators {sorted(unknown)}")
    return all(COMPARISONS[op](value, bound) for op, bound in bounds.items())
