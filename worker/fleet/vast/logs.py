"""The autoscaler's logs of a fleet's endpoint and groups."""

from __future__ import annotations

from collections.abc import Iterator

from worker.errors import DeployError
from worker.fleet.definition.fleet import Fleet
from worker.fleet.plan.plan import fleet_resources
from worker.fleet.vast.account import Account
from worker.fleet.vast.rows import AccountState
from worker.workflow.nearest import did_you_mean

LogRange = tuple[int, int]
"""Level (0 to 3) and number of lines, as `Account.endpoint_logs` accepts them."""


def read_logs(
    account: Account, fleet: Fleet, actual: AccountState, only_group: str | None, log_range: LogRange
) -> Iterator[tuple[str, str]]:
    """Yield the title and the text of each log of a fleet: of its endpoint, and of each of its groups in the file.

    With `only_group`, the name of a group in the file, only that group's log is yielded.

    Raises DeployError when the endpoint or the group does not exist.
    """
    resources = fleet_resources(fleet, actual)
    if resources.endpoint is None:
        raise DeployError(f"the account has no endpoint {fleet.endpoint.name}")
    groups = resources.matches.by_name
    if only_group and only_group not in groups:
        raise DeployError(f"there is no group {only_group!r}. {did_you_mean(only_group, groups) or ''}".rstrip())
    if not only_group:
        yield f"endpoint {resources.endpoint.name}", account.endpoint_logs(resources.endpoint, *log_range)
    for name, group in groups.items():
        if only_group in (None, name):
            yield f"group {name} ({group.id})", account.group_logs(group, *log_range)
