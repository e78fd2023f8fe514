"""What was asked: every call, without the secrets that it carried."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KEPT = 10_000
SECRETS = frozenset({"api_key", "value", "docker_login_pass"})


@dataclass(frozen=True, slots=True)
class AccountCall:
    """One request; `status` is the answer's, 0 where there was none."""

    method: str
    path: str
    body: Mapping[str, Any]
    status: int


class CallLog:
    """A bounded list, oldest first."""

    def __init__(self) -> None:
        self.calls: deque[AccountCall] = deque(maxlen=KEPT)

    def add(self, method: str, path: str, body: Mapping[str, Any], status: int) -> None:
        shown = {name: "***" if name in SECRETS else value for name, value in body.items()}
        self.calls.append(AccountCall(method, path, shown, status))

    def count(self, method: str = "", path: str = "") -> int:
        """Calls of that method to paths that begin so."""
        return sum(call.method == method or not method for call in self.calls if call.path.startswith(path))

    def clear(self) -> None:
        self.calls.clear()
