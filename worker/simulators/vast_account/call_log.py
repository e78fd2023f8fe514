"""A log of all calls, without the secrets in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT = 10_000
SECRETS = frozenset({"api_key", "value", "docker_login_pass"})


@dataclass(frozen=True, slots=True)
class AccountCall:
    """One request. `status` is the response's HTTP status, or 0 when there was no response."""

    method: str
    path: str
    body: Mapping[str, Any]
    status: int


class CallLog:
    """The latest calls, oldest first."""

    def __init__(self) -> None:
        self.calls: deque[AccountCall] = deque(maxlen=KEPT)

    def add(self, method: str, path: str, body: Mapping[str, Any], status: int) -> None:
        """Add a call, with its secrets replaced by `***`."""
        shown = {name: "***" if name in SECRETS else value for name, value in body.items()}
        self.calls.append(AccountCall(method, path, shown, status))

    def count(self, method: str = "", path: str = "") -> int:
        """Return the number of calls with this method to paths that start with `path`.

        An empty method counts the calls of every method.
        """
        calls_of_path = [call for call in self.calls if call.path.startswith(path)]
        return sum(not method or call.method == method for call in calls_of_path)

    def clear(self) -> None:
        """Remove all calls."""
        self.calls.clear()
