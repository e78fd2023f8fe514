"""Who may be inside ComfyUI at the same time: everybody, or one alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class ExclusiveLock:
    """One who goes in alone waits until the others have left; those who come later wait for him."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._inside = 0
        self._alone = 0
        """Those who want to be, or are, inside alone."""

    @asynccontextmanager
    async def inside(self, *, alone: bool = False) -> AsyncIterator[None]:
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
