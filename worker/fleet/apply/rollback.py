"""Back to a former version of the template: its hash stays valid, so that groups only have to be pointed at it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from worker.errors import NoFormerVersion
from worker.fleet.plan.plan import Present
from worker.fleet.plan.versions import former_of
from worker.fleet.vast.account import Account
from worker.fleet.vast.offer import query_text
from worker.fleet.vast.rows import GroupRow


def target_of(there: Present, to: str | None) -> str:
    """The hash to go back to: the given one, else what the template's description remembers. Raises NoFormerVersion."""
    if there.endpoint is None or not there.groups:
        raise NoFormerVersion(
            "there are no workers to roll back: the account has no such endpoint, or it has no groups"
        )
    former = to or (former_of(there.template.body) if there.template else "")
    if not former:
        raise NoFormerVersion("the template remembers no former version; name one: --to HASH")
    if former not in there.versions:
        known = ", ".join(sorted(there.versions))
        raise NoFormerVersion(f"{former} is not a known version of this fleet's template; known: {known}")
    return former


def roll_back(
    account: Account, targets: Mapping[int, str], groups: Mapping[int, GroupRow], tell: Callable[[str], None]
) -> int:
    """Point each group (by id) at its hash and let its workers go over; how many had to be pointed."""
    moved = 0
    for number, target in targets.items():
        group = groups[number]
        if group.template_hash != target:
            group = account.update_group(group, _body(group, target))
            moved += 1
        account.update_workers(group)
        tell(f"group {number} is back at {target}")
    return moved


def _body(group: GroupRow, template_hash: str) -> dict[str, Any]:
    """All that the group has, with the search as it is in force."""
    search = group.body.get("search_params") or query_text(group.search)
    return {**group.body, "search_params": search, "template_hash": template_hash}
