"""Which prompts an engine's death took with it, so that one death counts once against a graph that ran many times."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

TOGETHER_S = 10.0
"""Deaths of several engines within this time have one cause, where their prompts were all inside before the first."""
REMEMBERED_S = 3600.0
"""How long a death is kept for prompts that are found to be lost later: a deaf socket takes minutes to be noticed."""


@dataclass(frozen=True, slots=True)
class EngineDeath:
    """One end of one engine. `noticed_at` is of the monotonic clock."""

    name: str
    engine: str
    noticed_at: float

    def includes(self, engine: str, submitted_at: float, now: float) -> bool:
        """Return whether a prompt that an engine lost was inside when this death came."""
        together = engine == self.engine or now - self.noticed_at <= TOGETHER_S
        return submitted_at < self.noticed_at and together


@dataclass(slots=True)
class EngineDeaths:
    """The deaths that this life of the worker has noticed. A name is never the same in two lives of the worker."""

    life: str = field(default_factory=lambda: secrets.token_hex(8))
    _noticed: list[EngineDeath] = field(default_factory=list)

    @property
    def earlier(self) -> str:
        """Name of the death that ended the worker's life before this one, with all engines that it had started."""
        return f"{self.life}-earlier"

    def name(self, engine: str, submitted_at: float, now: float | None = None) -> str:
        """Return the name of the death that took a prompt which `engine` has lost; a new one where none fits."""
        now = time.monotonic() if now is None else now
        self._noticed = [death for death in self._noticed if now - death.noticed_at < REMEMBERED_S]
        known = next((death for death in self._noticed if death.includes(engine, submitted_at, now)), None)
        if known is None:
            known = EngineDeath(f"{self.life}-{secrets.token_hex(4)}", engine, now)
            self._noticed.append(known)
        return known.name
