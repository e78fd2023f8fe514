"""The autoscaler's logs of a fleet."""

from __future__ import annotations

from collections.abc import Iterator

from worker.errors import DeployError
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.plan import fleet_resources
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import Actual
from worker.workflow.nearest import did_you_mean

Amount = tuple[int, int]
"""Level (0 to 3) and number of lines."""


def logs_of(
    account: Account, fleet: Fleet, actual: Actual, only: str | None, amount: Amount
) -> Iterator[tuple[str, str]]:
    """Title and text of each log; `only` is a group's name in the file. Raises DeployError."""
    there = fleet_resources(fleet, actual)
    if there.endpoint is None:
        raise DeployError(f"the account has no endpoint {fleet.endpoint.name}")
    found = there.matches.by_name
    if only and only not in found:
        raise DeployError(f"there is no group {only!r}. {did_you_mean(only, found) or ''}".rstrip())
    if not only:
        yield f"endpoint {there.endpoint.name}", account.endpoint_logs(there.endpoint, *amount)
    for name, group in found.items():
        if only in (None, name):
            yield f"group {name} ({group.id})", account.group_logs(group, *amount)
