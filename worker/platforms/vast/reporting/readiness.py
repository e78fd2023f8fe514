"""Makes the SDK report the worker as loaded once its engine is ready and its speed is measured."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from worker.errors import StartupError

SCORE_FOR_SDK = ".has_benchmark"
"""File in the state folder with the score, which the SDK reads instead of running its own benchmark."""


class Readiness:
    """The SDK's `lifecycle`, which it enters when its port is open. After that it reads the score and reports "loaded".

    `measure` returns the score in workload units per second. `loaded` is done once the SDK has read the score, or has
    the StartupError that prevented it.
    """

    def __init__(self, measure: Callable[[], Awaitable[float]], folder: Path) -> None:
        self._measure = measure
        self._folder = folder
        self.entered = asyncio.Event()
        self.loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Readiness:
        """Measure the speed and write the score for the SDK. Raises StartupError, which `loaded` gets as well."""
        self.entered.set()
        try:
            self._write_score(await self._measure())
        except StartupError as error:
            if not self.loaded.done():
                self.loaded.set_exception(error)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def _write_score(self, score: float) -> None:
        """Write the score file, and remove it in the next step of the event loop.

        The SDK reads the file right after this returns, before the event loop runs anything else. Raises StartupError
        when the file cannot be written.
        """
        try:
            (self._folder / SCORE_FOR_SDK).write_text(str(score))
        except OSError as error:
            raise StartupError(f"the score for Vast's SDK cannot be written: {error}") from error
        asyncio.get_running_loop().call_soon(self._remove_score)

    def _remove_score(self) -> None:
        """Remove the file, which the SDK has read, and set the result of `loaded`."""
        (self._folder / SCORE_FOR_SDK).unlink(missing_ok=True)
        if not self.loaded.done():
            self.loaded.set_result(None)
