"""What can go wrong between here and Vast's API. Messages never hold a key or a value that was sent."""

from __future__ import annotations

from typing import ClassVar


class DeployError(Exception):
    """Root of the tree; `code` is for programs, the message for people."""

    code: ClassVar[str] = "deploy_failed"


class Refused(DeployError):
    """Vast understood and said no: the request has to change. `status` is HTTP's, 200 for a no in a body."""

    code = "vast_refused"

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class KeyRefused(Refused):
    """401 or 403: the API key is wrong, or has no right to this."""

    code = "vast_key_refused"


class Unreachable(DeployError):
    """No usable answer in the time allowed: no connection, none in time, or only 5xx.

    What was asked for may or may not have happened; the same call again is always safe.
    """

    code = "vast_unreachable"


class CallRateLimited(DeployError):
    """429 for as long as we cared to wait; nothing has happened."""

    code = "vast_rate_limited"
