"""The results of ended jobs, kept until they expire, are too many or use too much disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from worker.jobs.job_index import Key


@dataclass(frozen=True, slots=True)
class RetainedResult:
    """An ended job's result."""

    until: float
    """Time on the monotonic clock at which it expires."""
    size: int
    """Bytes on disk."""


class Retention:
    """Ended jobs in the order of their ends. `run` calls `forget` with the key of each job that has to be removed.

    `most` limits their number and `max_bytes` their size on disk.
    """

    def __init__(self, forget: Callable[[Key], None], *, most: int, max_bytes: int) -> None:
        self._forget = forget
        self._most = most
        self._max_bytes = max_bytes
        self._results: dict[Key, RetainedResult] = {}
        self._size = 0
        self._changed = asyncio.Event()
        self._closed = False

    def add(self, key: Key, life_s: float, size: int) -> None:
        """Keep a job's result for `life_s` seconds. `size` is its number of bytes."""
        self._results[key] = RetainedResult(time.monotonic() + life_s, size)
        self._size += size
        if len(self._results) == 1 or self._is_too_full():  # otherwise the time of the next removal stays the same
            self._changed.set()

    def remove(self, key: Key) -> None:
        """Forget the result of a job that is delivered again or was removed. Its files stay."""
        if (result := self._results.pop(key, None)) is not None:
            self._size -= result.size

    def close(self) -> None:
        """Stop removing jobs, because the worker ends."""
        self._closed = True

    async def run(self) -> None:
        """Remove each job when it expires or when a newer one needs its space."""
        while True:
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._sweep()):
                    await self._changed.wait()

    def _sweep(self) -> float | None:
        """Remove the jobs that have expired or exceed a limit. Return the seconds until the next expires, or None."""
        now = time.monotonic()
        while self._results and not self._closed:
            key, oldest = next(iter(self._results.items()))
            if oldest.until > now and not self._is_too_full():
                return oldest.until - now
            self.remove(key)
            self._forget(key)
        return None

    def _is_too_full(self) -> bool:
        """Return whether a limit is exceeded. A single job may have any size, because its client is being served."""
        return len(self._results) > self._most or (self._size > self._max_bytes and len(self._results) > 1)
