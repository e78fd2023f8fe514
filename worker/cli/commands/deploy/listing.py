"""Instances as lines of a list that a person confirms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.fleet.vast.rows import Instance


def instance_rows(instances: Sequence[Instance], where: Mapping[int, str] | None = None) -> Iterator[str]:
    """`where` is the group or endpoint of an instance, by its id."""
    for one in instances:
        parts = [f"instance {one.id}", (where or {}).get(one.id, ""), one.machine, one.status, f"${one.dph:.3f}/h"]
        yield f"- {', '.join(filter(None, parts))}"


def total(instances: Sequence[Instance]) -> str:
    count = "1 instance" if len(instances) == 1 else f"{len(instances)} instances"
    return f"{count}, ${sum(one.dph for one in instances):.2f} an hour if all run"
