"""Why `comfy-worker deploy` failed. No message holds a key or a value that was sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class DeployError(Exception):
    """Root of the tree; `code` is for programs, the message for people."""

    code: ClassVar[str] = "deploy_failed"


@dataclass(frozen=True, slots=True)
class FleetProblem:
    """One thing to change. `table` is `template`, `groups.big`, or empty for the file itself."""

    table: str
    key: str
    message: str

    def __str__(self) -> str:
        place = f"[{self.table}] {self.key}" if self.table else self.key
        return f"{place.rstrip()}: {self.message}"


class FleetError(DeployError):
    """The fleet file can't be used. `problems` has every reason that was found."""

    code = "fleet_invalid"

    def __init__(self, problems: Sequence[FleetProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class MissingValues(DeployError):
    """The local environment lacks variables whose values the account needs."""

    code = "values_missing"


class AmbiguousName(DeployError):
    """Several things in the account have the name."""

    code = "ambiguous"


class NotThisFleet(DeployError):
    """What the command would change carries no mark of this fleet. `reasons` has a sentence for each thing."""

    code = "not_this_fleet"

    def __init__(self, *reasons: str) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons


class PlanFileError(DeployError):
    """The file is not a plan that `deploy plan` wrote."""

    code = "plan_invalid"


class StalePlan(DeployError):
    """The account has changed: the same command would plan something else now."""

    code = "plan_stale"


class SnapshotError(DeployError):
    """The file is not a snapshot that `deploy snapshot` wrote."""

    code = "snapshot_invalid"


class NoFormerVersion(DeployError):
    """The version to go back to is not known."""

    code = "no_former_version"


class SmokeFailed(DeployError):
    """The smoke job failed, or its result is not the expected one."""

    code = "smoke_failed"


class VastRefused(DeployError):
    """Vast rejected the request, which has to change. `status` is HTTP's; it is 200 where the body says no."""

    code = "vast_refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class VastKeyRefused(VastRefused):
    """401 or 403: the API key is wrong, or has no right to this."""

    code = "vast_key_refused"


class VastUnreachable(DeployError):
    """No usable answer in the time allowed: no connection, a timeout, or only 5xx.

    The request may or may not have been carried out. The same call again is always safe.
    """

    code = "vast_unreachable"


class VastRateLimited(DeployError):
    """429 until the time for retries was over; nothing has happened."""

    code = "vast_rate_limited"
