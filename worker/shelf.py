"""Ended jobs, oldest first: each until its time is over, or there are too many of them, or they take too much room."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

Key = tuple[str, str]
"""(principal, id)."""


@dataclass(frozen=True, slots=True)
class Place:
    until: float
    """Of the monotonic clock."""
    size: int
    """Bytes on disk."""


class Shelf:
    """What runs is not on it, and so is never forgotten. `forget` is called for each job that has to go."""

    def __init__(self, forget: Callable[[Key], None], *, most: int, room: int) -> None:
        self._forget = forget
        self._most = most
        self._room = room
        self._places: dict[Key, Place] = {}
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def put(self, key: Key, life_s: float, size: int) -> None:
        self._places[key] = Place(time.monotonic() + life_s, size)
        self._size += size
        self._sweep()

    def take(self, key: Key) -> None:
        """Back into work."""
        self._size -= self._places.pop(key).size

    def close(self) -> None:
        """Nothing is forgotten any more."""
        self._closed = True
        if self._timer:
            self._timer.cancel()

    def _sweep(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        now = time.monotonic()
        while self._places and not self._closed:
            key, oldest = next(iter(self._places.items()))
            if oldest.until > now and not self._too_full():
                self._timer = asyncio.get_running_loop().call_later(oldest.until - now, self._sweep)
                return
            self.take(key)
            self._forget(key)

    def _too_full(self) -> bool:
        """The newest stays, however large it is: its client is only just being answered."""
        return len(self._places) > self._most or (self._size > self._room and len(self._places) > 1)
