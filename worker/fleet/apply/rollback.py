"""Rollback to an earlier version of the template, whose hash stays valid: each group is pointed back at that hash."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker.errors import NoFormerVersion
from worker.fleet.plan.plan import FleetResources
from worker.fleet.plan.versions import previous_version
from worker.fleet.vast.account import Account
from worker.fleet.vast.offer import query_text
from worker.fleet.vast.rows import GroupRow


def target_of(resources: FleetResources, to: str | None) -> str:
    """Return the hash to roll back to: `to`, or else the previous version named in the template's description.

    Raises NoFormerVersion when there is no such version.
    """
    if resources.endpoint is None or not resources.groups:
        raise NoFormerVersion(
            "there are no workers to roll back: the account has no such endpoint, or the endpoint has no groups"
        )
    target = to or (previous_version(resources.template.body) if resources.template else "")
    if not target:
        raise NoFormerVersion("the template names no previous version; give one with --to HASH")
    if target not in resources.versions:
        versions = ", ".join(sorted(resources.versions))
        raise NoFormerVersion(f"{target} is not a known version of this fleet's template. Known versions: {versions}")
    return target


def roll_back(
    account: Account, targets: Mapping[int, str], groups: Mapping[int, GroupRow], report: Callable[[str], None]
) -> int:
    """Point each group at its target hash, update its workers, and return how many groups had another hash.

    `targets` maps ids of groups to hashes; `groups` has the rows by id.
    """
    changed = 0
    for number, target in targets.items():
        group = groups[number]
        if group.template_hash != target:
            group = account.update_group(group, _body(group, target))
            changed += 1
        account.update_workers(group)
        report(f"group {number} uses {target} again")
    return changed


def _body(group: GroupRow, template_hash: str) -> dict[str, Any]:
    """Return the group's present body with another hash. Vast's query becomes text where the row has no text."""
    search = group.body.get("search_params") or query_text(group.search)
    return {**group.body, "search_params": search, "template_hash": template_hash}
