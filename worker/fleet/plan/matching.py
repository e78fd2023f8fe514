"""Matching the groups of the file with those of the account, because Vast's groups have no names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.fleet.plan.facts import Facts, group_facts
from worker.fleet.vast.rows import GroupRow


@dataclass(frozen=True, slots=True)
class GroupMatches:
    """The groups of the account by their name in the file, and the `extra` groups that match no name."""

    by_name: Mapping[str, GroupRow]
    extra: tuple[GroupRow, ...]


def match_groups(desired: Mapping[str, Facts], groups: Sequence[GroupRow]) -> GroupMatches:
    """Match each name in the file with the most similar group of the account, the most similar pairs first.

    `desired` has the facts of each group of the file by its name. Pairs that are equally similar are matched in the
    order of the file, then of the account.
    """
    pairs = [
        (-_similarity(facts, group_facts(group.body, group.search)), position, group.id, name)
        for position, (name, facts) in enumerate(desired.items())
        for group in groups
    ]
    unmatched = {group.id: group for group in groups}
    matched: dict[str, GroupRow] = {}
    for _, _, group_id, name in sorted(pairs):
        if name not in matched and group_id in unmatched:
            matched[name] = unmatched.pop(group_id)
    return GroupMatches({name: matched[name] for name in desired if name in matched}, tuple(unmatched.values()))


def _similarity(first: Facts, second: Facts) -> int:
    """Return the number of equal facts. Equal GPUs count more than all other facts together."""
    equal = sum(1 for key, value in first.items() if second.get(key) == value)
    return equal + (100 if first.get("gpu_name in") == second.get("gpu_name in") else 0)
