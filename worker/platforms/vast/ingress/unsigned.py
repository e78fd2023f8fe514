"""Limits on the memory, the time and the parsing of request bodies until their signature is checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

KIB = 1024
MIB = 1024 * KIB
HEAD = 64 * KIB
"""Bytes at the start of a body in which `auth_data` is searched."""
MAX_UNSIGNED = MIB
"""Largest body in bytes without `auth_data` in its head."""
MEMORY = 32 * MIB
"""Bytes of memory for all unsigned bodies together."""
AT_A_TIME = 8
"""Number of unsigned bodies that are read as a whole at the same time."""
FIXED = 16 * KIB
"""Bytes of memory that a request needs besides its body."""


@dataclass(slots=True, eq=False)
class BodyMemory:
    """The memory of one unsigned body. `evict` ends its request when others need the memory."""

    evict: Callable[[], None]
    size: int = FIXED


@dataclass(slots=True)
class UnsignedBodies:
    """All bodies whose signature is not checked yet."""

    memory: int = MEMORY
    parse_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while a body is searched or parsed, so that the event loop runs between two bodies."""
    read_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))
    _bodies: dict[BodyMemory, None] = field(default_factory=dict)
    _used: int = 0

    @asynccontextmanager
    async def count(self, evict: Callable[[], None]) -> AsyncIterator[BodyMemory]:
        """Count the memory of a new body until the context ends or `release` is called. Yield the body's entry.

        `evict` is called when the body's memory is needed for others, and has to end its request.
        """
        body = BodyMemory(evict)
        self._bodies[body] = None
        self._used += body.size
        try:
            self._evict_oldest(body)
            yield body
        finally:
            self.release(body)

    def grow(self, body: BodyMemory, size: int) -> None:
        """Set the memory of a body in bytes, if it is larger than before and the body is still counted.

        If the total is too high, the requests of the oldest other bodies are ended. A client that sends its signature
        first is not affected, because its body is not counted for long.
        """
        if body in self._bodies and size > body.size:
            self._used += size - body.size
            body.size = size
            self._evict_oldest(body)

    def release(self, body: BodyMemory) -> None:
        """Stop counting a body. Nothing happens if it is not counted any more."""
        if body in self._bodies:
            del self._bodies[body]
            self._used -= body.size

    def _evict_oldest(self, newest: BodyMemory) -> None:
        """End the oldest requests until the total fits, but never the `newest`."""
        while self._used > self.memory:
            oldest = next(iter(self._bodies))
            if oldest is newest:
                return
            self.release(oldest)
            oldest.evict()
