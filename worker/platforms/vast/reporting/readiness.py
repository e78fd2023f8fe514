"""When this worker counts as loaded: the engine answers, and its speed is known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from worker.errors import StartupError

SCORE_FOR_SDK = ".has_benchmark"
"""File in the state folder that the SDK reads instead of running its own benchmark (`sdk.point_at_score`)."""


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
            self._hand_over(await self._measure())
        except StartupError as error:
            if not self.loaded.done():
                self.loaded.set_exception(error)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def _hand_over(self, score: float) -> None:
        """Leave the file where the SDK looks for it: in the same step of the event loop, right after this returns.

        Raises StartupError.
        """
        try:
            (self._folder / SCORE_FOR_SDK).write_text(str(score))
        except OSError as error:
            raise StartupError(f"Vast's SDK can't be given the score: {error}") from error
        asyncio.get_running_loop().call_soon(self._handed_over)

    def _handed_over(self) -> None:
        (self._folder / SCORE_FOR_SDK).unlink(missing_ok=True)
        if not self.loaded.done():
            self.loaded.set_result(None)
