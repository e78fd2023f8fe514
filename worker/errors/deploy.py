"""Errors of `comfy-worker deploy` and `modal init`. No message contains a key or a value that was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class DeployError(Exception):
    """Root of the errors of `comfy-worker deploy`. `code` is for programs, the message for people."""

    code: ClassVar[str] = "deploy_failed"


@dataclass(frozen=True, slots=True)
class FleetProblem:
    """One thing to change in the fleet file. `table` is `template`, `groups.big`, or empty for the file itself."""

    table: str
    key: str
    message: str

    def __str__(self) -> str:
        location = f"[{self.table}] {self.key}" if self.table else self.key
        return f"{location.rstrip()}: {self.message}"  # a problem of a whole table has no key


class FleetError(DeployError):
    """The fleet file is invalid. `problems` lists every problem in it."""

    code = "fleet_invalid"

    def __init__(self, problems: Sequence[FleetProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class MissingValues(DeployError):
    """The local environment lacks variables whose values the account needs. Set them and run the command again."""

    code = "values_missing"


class AmbiguousName(DeployError):
    """Several objects in the account have the name. Give the id of one."""

    code = "ambiguous"


class NotThisFleet(DeployError):
    """The command would change objects that do not belong to this fleet. `reasons` has a sentence for each of them."""

    code = "not_this_fleet"

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


class PlanFileError(DeployError):
    """The file is not a plan that `deploy plan` wrote. Make a new plan."""

    code = "plan_invalid"


class StalePlan(DeployError):
    """The account has changed since the plan was made. Make a new plan."""

    code = "plan_stale"


class SnapshotError(DeployError):
    """The file is not a snapshot that `deploy snapshot` wrote."""

    code = "snapshot_invalid"


class NoFormerVersion(DeployError):
    """The version to roll back to is not known. Name one with `--to`."""

    code = "no_former_version"


class SmokeFailed(DeployError):
    """The smoke job failed, or its result is not the expected one."""

    code = "smoke_failed"


class VastRefused(DeployError):
    """Vast rejected an API request. The request has to change.

    `status` is the HTTP status. It is 200 if only the body says that the request failed.
    """

    code = "vast_refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class VastKeyRefused(VastRefused):
    """Vast returned 401 or 403: the API key is wrong or lacks a permission."""

    code = "vast_key_refused"


class VastUnreachable(DeployError):
    """Vast returned no usable response in time: no connection, a timeout, or only 5xx.

    The request may or may not have been carried out. It is always safe to run the command again.
    """

    code = "vast_unreachable"


class VastRateLimited(DeployError):
    """Vast returned 429 until the time for retries was over. Nothing was changed. Run the command again later."""

    code = "vast_rate_limited"


class MigrationError(Exception):
    """An app cannot be read, or the new one cannot be written. The message names the file and the reason."""

    code: ClassVar[str] = "migration_failed"
