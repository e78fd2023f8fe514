"""Vast's rate limit: a minimum interval between two calls of the same kind by the same account."""

from __future__ import annotations

import re

from worker.simulators.vast_account.fault_config import AccountFaultConfig

NUMBER = re.compile(r"/\d+")


class RateLimits:
    """The time of the last accepted call of each kind. A kind is a method and a path without ids."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def allow(self, method: str, path: str, fault_config: AccountFaultConfig, now: float) -> bool:
        """Return whether a call at the time `now` is accepted. An accepted call starts a new interval.

        A rejected call starts one only with `fault_config.refusals_count`.
        """
        kind = f"{method} {NUMBER.sub('/N', path)}"
        is_accepted = now - self._last.get(kind, float("-inf")) >= fault_config.interval_s
        if is_accepted or fault_config.refusals_count:
            self._last[kind] = now
        return is_accepted
