"""The error of a simulated call."""

from __future__ import annotations


class CallRefused(Exception):
    """The call is rejected with this HTTP status and error code; the code is Vast's or a similar one."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message = status, error, message
