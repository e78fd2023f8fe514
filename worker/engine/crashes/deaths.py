"""The deaths of engines, so that one death counts once against a graph, even if several of its prompts were lost."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

TOGETHER_S = 10.0
"""Deaths of several engines within this time have one cause, if the prompts were submitted before the first."""
REMEMBERED_S = 3600.0
"""Seconds that a death is remembered. The loss of a prompt may be noticed minutes later, by a poll."""


@dataclass(frozen=True, slots=True)
class EngineDeath:
    """One death of one engine. `engine` is its name, and `noticed_at` is on the monotonic clock."""

    id: str
    engine: str
    noticed_at: float

    def includes(self, engine: str, submitted_at: float, now: float) -> bool:
        """Return whether a prompt that `engine` lost, as noticed at `now`, was lost in this death."""
        is_same_death = engine == self.engine or now - self.noticed_at <= TOGETHER_S
        return submitted_at < self.noticed_at and is_same_death


@dataclass(slots=True)
class EngineDeaths:
    """The deaths that this process of the worker has noticed.

    Their ids are never used by another process of the worker, because they begin with the random `worker_id`.
    """

    worker_id: str = field(default_factory=lambda: secrets.token_hex(8))
    _noticed: list[EngineDeath] = field(default_factory=list)

    @property
    def earlier_id(self) -> str:
        """Id of the death that ended the previous process of the worker, together with its engines."""
        return f"{self.worker_id}-earlier"

    def find_or_record(self, engine: str, submitted_at: float, now: float | None = None) -> str:
        """Return the id of the death in which `engine` lost a prompt. Record a new death if no known one fits.

        `submitted_at` and `now` are on the monotonic clock.
        """
        now = time.monotonic() if now is None else now
        self._noticed = [death for death in self._noticed if now - death.noticed_at < REMEMBERED_S]
        match = next((death for death in self._noticed if death.includes(engine, submitted_at, now)), None)
        if match is None:
            match = EngineDeath(f"{self.worker_id}-{secrets.token_hex(4)}", engine, now)
            self._noticed.append(match)
        return match.id
