"""The lock that lets a job run alone in ComfyUI, and the pauses that separate its files from those of other jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CLOCK_S = 0.006
"""Seconds that are longer than a step of the file system's clock and of ComfyUI's.

The former is 4 ms on most kernels, the latter 1 ms."""


class ExclusiveLock:
    """Lock that is held by any number of jobs, or by one job alone.

    A job that wants to be alone waits until the others have left. Later jobs wait for it.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._inside = 0
        self._alone = 0
        """Number of jobs that hold the lock alone or wait to do so."""

    @asynccontextmanager
    async def hold(self, *, alone: bool = False) -> AsyncIterator[None]:
        """Hold the lock, with `alone` as the only job."""
        self._alone += alone
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: not self._inside if alone else not self._alone)
                self._inside += 1
            try:
                yield
            finally:
                self._inside -= 1
        finally:
            self._alone -= alone
            async with self._changed:
                self._changed.notify_all()


@asynccontextmanager
async def pause_around() -> AsyncIterator[None]:
    """Wait before and after a prompt, so that the file system's clock separates its files from those of others."""
    await asyncio.sleep(CLOCK_S)
    try:
        yield
    finally:
        await asyncio.sleep(CLOCK_S)
