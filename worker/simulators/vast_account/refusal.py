"""A call that is answered with no."""

from __future__ import annotations


class CallRefused(Exception):
    """`status` is HTTP's; `error` is Vast's word for it, or one like Vast's."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        self.status, self.error, self.message = status, error, message
