"""Ended jobs, oldest first: each until its time is over, or there are too many of them, or they take too much room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from worker.jobs.job_index import Key


@dataclass(frozen=True, slots=True)
class RetainedResult:
    until: float
    """Of the monotonic clock."""
    size: int
    """Bytes on disk."""


class Retention:
    """What runs is not on it, and so is never forgotten. `run` calls `forget` for each job that has to go."""

    def __init__(self, forget: Callable[[Key], None], *, most: int, max_bytes: int) -> None:
        self._forget = forget
        self._most = most
        self._max_bytes = max_bytes
        self._places: dict[Key, RetainedResult] = {}
        self._size = 0
        self._changed = asyncio.Event()
        self._closed = False

    def add(self, key: Key, life_s: float, size: int) -> None:
        self._places[key] = RetainedResult(time.monotonic() + life_s, size)
        self._size += size
        if len(self._places) == 1 or self._too_full():  # else the oldest is still the next that has to go
            self._changed.set()

    def remove(self, key: Key) -> None:
        """Back into work; a job that has only just come to rest is not kept yet."""
        if (kept := self._places.pop(key, None)) is not None:
            self._size -= kept.size

    def close(self) -> None:
        """Nothing is forgotten any more."""
        self._closed = True

    async def run(self) -> None:
        """Forget each job when its time is over, or when it takes the room of a newer one."""
        while True:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sweep()):
                    await self._changed.wait()

    def _sweep(self) -> float | None:
        """Forget what has to go and return the seconds until the next one has to."""
        now = time.monotonic()
        while self._places and not self._closed:
            key, oldest = next(iter(self._places.items()))
            if oldest.until > now and not self._too_full():
                return oldest.until - now
            self.remove(key)
            self._forget(key)
        return None

    def _too_full(self) -> bool:
        """The newest stays, however large it is: its client is only just being answered."""
        return len(self._places) > self._most or (self._size > self._max_bytes and len(self._places) > 1)
