"""What bodies may take before a signature was found in them: memory, time, and the parser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB
HEAD = 64 * KIB
"""`auth_data` is looked for in this much of a body."""
LARGEST = MIB
"""A body without `auth_data` in its head."""
MEMORY = 32 * MIB
AT_A_TIME = 8
FIXED = 16 * KIB
"""What a body takes beside its bytes."""


@dataclass(slots=True, eq=False)
class BodyMemory:
    """The memory of one body. `evict` ends the request where another one needs it."""

    evict: Callable[[], None]
    size: int = FIXED


@dataclass(slots=True)
class UnsignedBodies:
    """All bodies in which no signature was found yet."""

    memory: int = MEMORY
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """For what computes: one body at a time, so that the event loop runs between two."""
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))
    _shares: dict[BodyMemory, None] = field(default_factory=dict)
    _taken: int = 0

    @asynccontextmanager
    async def share(self, evict: Callable[[], None]) -> AsyncIterator[BodyMemory]:
        """Count a body among these for as long as the context lasts, or until `settle`."""
        share = BodyMemory(evict)
        self._shares[share] = None
        self._taken += share.size
        try:
            self._make_room(share)
            yield share
        finally:
            self.settle(share)

    def grow(self, share: BodyMemory, size: int) -> None:
        """Set what a body takes. The oldest others make room: an honest client sends its signature first."""
        if share in self._shares and size > share.size:
            self._taken += size - share.size
            share.size = size
            self._make_room(share)

    def settle(self, share: BodyMemory) -> None:
        """Count a body no longer."""
        if share in self._shares:
            del self._shares[share]
            self._taken -= share.size

    def _make_room(self, newest: BodyMemory) -> None:
        while self._taken > self.memory:
            oldest = next(iter(self._shares))
            if oldest is newest:
                return
            self.settle(oldest)
            oldest.evict()
