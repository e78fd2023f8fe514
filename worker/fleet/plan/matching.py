"""Which group of the file is which group of the account: Vast gives groups no names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.fleet.plan.facts import Facts, group_facts
from worker.fleet.vast.rows import GroupRow


@dataclass(frozen=True, slots=True)
class GroupMatches:
    """`by_name` has the group of each name that has one; `extra` are those that no name is left for."""

    by_name: Mapping[str, GroupRow]
    extra: tuple[GroupRow, ...]


def match_groups(wanted: Mapping[str, Facts], there: Sequence[GroupRow]) -> GroupMatches:
    """The most alike first; among equals by the order of the file and of the account."""
    likeness = sorted(
        (
            (-_alike(facts, group_facts(group.body, group.search)), place, group.id, name)
            for place, (name, facts) in enumerate(wanted.items())
            for group in there
        ),
    )
    by_id = {group.id: group for group in there}
    found: dict[str, GroupRow] = {}
    for _, _, number, name in likeness:
        if name not in found and number in by_id:
            found[name] = by_id.pop(number)
    return GroupMatches({name: found[name] for name in wanted if name in found}, tuple(by_id.values()))


def _alike(one: Facts, other: Facts) -> int:
    """Facts in common. The GPU counts for more than all else: it is what a group is made for."""
    common = sum(1 for key, value in one.items() if other.get(key) == value)
    return common + (100 if one.get("gpu_name in") == other.get("gpu_name in") else 0)
