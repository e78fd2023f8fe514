"""An observer that keeps all events."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TypeVar, get_args

from worker.events import Event, Handlers

Kind = TypeVar("Kind")


@dataclass
class EventRecorder:
    """All events, in order."""

    events: list[Event] = field(default_factory=list)

    @property
    def handlers(self) -> Handlers:
        return dict.fromkeys(get_args(Event), self.notify)

    def notify(self, event: Event) -> None:
        self.events.append(event)

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[Kind], count: int = 1) -> list[Kind]:
        """Wait for this number of events of a class."""
        async with asyncio.timeout(60):
            while len(found := self.of(kind)) < count:
                await asyncio.sleep(0.02)
        return found
