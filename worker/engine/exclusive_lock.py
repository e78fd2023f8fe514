"""The lock that lets a job run alone in ComfyUI, and the pauses that separate its files from those of other jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

CLOCK_STEP_S = 0.006
"""Seconds that are longer than a step of the file system's clock and of ComfyUI's.

On most kernels the clock of the file system has steps of 4 ms. ComfyUI's clock has steps of 1 ms."""


class ExclusiveLock:
    """Lock that is held by any number of jobs, or by one job alone.

    A job that wants to be alone waits until the others have left. Later jobs wait for it.
    """

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._holders = 0
        self._exclusive = 0
        """Number of jobs that hold the lock alone or wait to do so."""

    @asynccontextmanager
    async def hold(self, *, alone: bool = False) -> AsyncIterator[None]:
        """Hold the lock inside the context. With `alone`, no other job holds it meanwhile."""

        def can_enter() -> bool:
            return self._holders == 0 if alone else self._exclusive == 0

        self._exclusive += alone
        try:
            async with self._changed:
                await self._changed.wait_for(can_enter)
                self._holders += 1
            try:
                yield
            finally:
                self._holders -= 1
        finally:
            self._exclusive -= alone
            async with self._changed:
                self._changed.notify_all()


@asynccontextmanager
async def pause_around() -> AsyncIterator[None]:
    """Wait before and after a prompt, so that the file system's clock separates its files from those of others."""
    await asyncio.sleep(CLOCK_STEP_S)
    try:
        yield
    finally:
        await asyncio.sleep(CLOCK_STEP_S)
