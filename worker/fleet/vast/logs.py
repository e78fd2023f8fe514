"""The autoscaler's logs of a fleet's endpoint and groups."""

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
    """Yield the title and the text of each log, or only those of the group that the file calls `only`.

    Raises DeployError when the endpoint or the group does not exist.
    """
    resources = fleet_resources(fleet, actual)
    if resources.endpoint is None:
        raise DeployError(f"the account has no endpoint {fleet.endpoint.name}")
    groups = resources.matches.by_name
    if only and only not in groups:
        raise DeployError(f"there is no group {only!r}. {did_you_mean(only, groups) or ''}".rstrip())
    if not only:
        yield f"endpoint {resources.endpoint.name}", account.endpoint_logs(resources.endpoint, *amount)
    for name, group in groups.items():
        if only in (None, name):
            yield f"group {name} ({group.id})", account.group_logs(group, *amount)
