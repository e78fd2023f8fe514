"""When this worker counts as loaded: the engine answers, and its speed is known."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from worker.errors import StartupError

SCORE_FOR_SDK = ".has_benchmark"
"""The SDK reads this file, in the working directory, instead of running its own benchmark."""


class Readiness:
    """The SDK's `lifecycle`: entered once its port is open; when that returns, the SDK reads the score and is loaded.

    `measure` returns the score in workload units a second. `loaded` is done once the SDK has taken it; it raises the
    StartupError that kept the worker from getting there.
    """

    def __init__(self, measure: Callable[[], Awaitable[float]], folder: Path) -> None:
        self._measure = measure
        self._folder = folder
        self.entered = asyncio.Event()
        self.loaded: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def __aenter__(self) -> Readiness:
        self.entered.set()
        try:
            score = await self._measure()
        except StartupError as error:
            if not self.loaded.done():
                self.loaded.set_exception(error)
            raise
        self._hand_over(score)
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def _hand_over(self, score: float) -> None:
        """Leave the file where the SDK looks for it: in the same step of the event loop, right after this returns.

        The working directory is the process's, so it is changed for that one step, and the state folder is the only
        place that is certain to be writable and this worker's own. The next step changes it back.
        """
        before = Path.cwd()
        (self._folder / SCORE_FOR_SDK).write_text(str(score))
        os.chdir(self._folder)
        asyncio.get_running_loop().call_soon(self._handed_over, before)

    def _handed_over(self, before: Path) -> None:
        os.chdir(before)
        (self._folder / SCORE_FOR_SDK).unlink(missing_ok=True)
        if not self.loaded.done():
            self.loaded.set_result(None)
