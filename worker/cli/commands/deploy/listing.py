"""The lines for instances in a list that the user confirms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from worker.fleet.vast.rows import Instance


def instance_rows(instances: Sequence[Instance], where: Mapping[int, str] | None = None) -> Iterator[str]:
    """Yield a line for each instance. `where` names the group or endpoint of an instance by its id."""
    for instance in instances:
        place, price = (where or {}).get(instance.id, ""), f"${instance.dph:.3f}/h"
        parts = [f"instance {instance.id}", place, instance.machine, instance.status, price]
        yield f"- {', '.join(filter(None, parts))}"


def total(instances: Sequence[Instance]) -> str:
    """Return the number of instances and their price in dollars an hour."""
    count = "1 instance" if len(instances) == 1 else f"{len(instances)} instances"
    return f"{count}, ${sum(instance.dph for instance in instances):.2f} an hour if all run"
