"""A template's facts about its fleet: the mark in its environment, and its earlier versions in its description.

A change gives a template a new hash, and Vast lists it under the new one only. Groups and instances keep the old hash
until they are updated, so the template itself has to remember which hashes it had.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vastai.utils import parse_env

from worker.fleet.definition.fleet import MARK
from worker.fleet.vast.rows import TemplateRow

FORMER = re.compile(r"former version (\w+)")
EARLIER = re.compile(r"earlier ((?:\w+ )*\w+)")
KEPT = 12
"""Highest number of hashes in a description; the oldest are dropped first."""


def mark_of(body: Mapping[str, Any]) -> str:
    """Return the mark of a template: the id of the fleet that it belongs to.

    Return an empty text when the template has no mark, or different ones.
    """
    env = str(body.get("env") or "")
    values = {value.strip("'\"") for value in re.findall(rf"\b{MARK}=(\S+)", env)}
    mark = str(parse_env(env).get(MARK, ""))
    return mark if values == {mark} else ""


def with_mark(env: str, fleet_id: str) -> str:
    """Return a template's container options with this mark at the end, and without any earlier mark."""
    without_mark = re.sub(rf"(?:^|\s)-e\s+['\"]?{MARK}=\S*", "", env).strip()
    return f"{without_mark} -e {MARK}={fleet_id}".strip()


def description(previous: str, earlier: Sequence[str] = ()) -> str:
    """Return the description of a template, from which `previous_version` and `versions_of` read the hashes.

    `previous` is the hash of the version before, empty for a first version. `earlier` are other hashes, newest first.
    """
    others = [version for version in dict.fromkeys(earlier) if version and version != previous]
    hashes = others[: KEPT - 1]  # `previous` is one of the KEPT hashes
    parts = ["comfy-worker"]
    parts += [f"former version {previous}"] if previous else []
    parts += [f"earlier {' '.join(hashes)}"] if hashes else []
    return "; ".join(parts)


def previous_version(body: Mapping[str, Any]) -> str:
    """Return the previous version that the template's description names, or an empty text for a first version."""
    match = FORMER.search(str(body.get("desc") or ""))
    return match[1] if match else ""


def versions_of(template: TemplateRow) -> tuple[str, ...]:
    """Return the hashes that this template has or had, newest first."""
    match = EARLIER.search(str(template.body.get("desc") or ""))
    hashes = [template.hash, previous_version(template.body), *(match[1].split() if match else ())]
    return tuple(dict.fromkeys(filter(None, hashes)))
