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


def rollback_target(resources: FleetResources, to: str | None) -> str:
    """Return the template hash to roll back to: `to`, or else the previous version in the template's description.

    Raises NoFormerVersion when the fleet has no workers or no such version.
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
    """Make each group use its target template hash, and update its workers. Return the number of changed groups.

    `targets` maps the ids of groups to template hashes, and `groups` maps them to their rows.
    """
    changed = 0
    for group_id, target in targets.items():
        group = groups[group_id]
        if group.template_hash != target:
            group = account.update_group(group, _body(group, target))
            changed += 1
        account.update_workers(group)
        report(f"group {group_id} uses {target} again")
    return changed


def _body(group: GroupRow, template_hash: str) -> dict[str, Any]:
    """Return the group's present body with another template hash.

    If the row has no `search_params`, they are written from the search query that Vast returns.
    """
    search = group.body.get("search_params") or query_text(group.search)
    return {**group.body, "search_params": search, "template_hash": template_hash}
