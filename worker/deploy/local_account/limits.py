"""Vast's rate limit: a minimum interval between two calls of the same kind by the same account."""

from __future__ import annotations

import re

from worker.deploy.local_account.conduct import Conduct

NUMBER = re.compile(r"/\d+")


class Limits:
    """When each kind of call was last let through. A kind is method and path, whatever the id."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def allow(self, method: str, path: str, conduct: Conduct, now: float) -> bool:
        kind = f"{method} {NUMBER.sub('/N', path)}"
        allowed = now - self._last.get(kind, float("-inf")) >= conduct.interval_s
        if allowed or conduct.refusals_count:
            self._last[kind] = now
        return allowed
