"""The error response of a client's call."""

from __future__ import annotations

import json


class ClientRefused(Exception):
    """A call of a client is rejected with an HTTP status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def body(self) -> str:
        """The body of the response."""
        return json.dumps({"error": str(self)})
