"""Keeps what the worker learns about the seconds of jobs over its restarts."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

from worker import __version__
from worker.engine.pool import EnginePool
from worker.engine.protocol.api import EngineInfo
from worker.errors import EngineUnavailable
from worker.jobs.learned_load import FILE, starting_state, write_state
from worker.load.learning.learned_state import LearnedState, StateHeader

log = logging.getLogger(__name__)

SAVE_EVERY_S = 60.0
"""Seconds between two writes of the file. A crash loses what was learned since the last one."""
CONNECT_S, RETRY_S = 3600.0, 1.0
"""Seconds of one wait for an engine, and until its facts are requested again."""


class LoadKeeper:
    """Restores what earlier processes have learned once an engine is connected, and stores what is learned.

    `priors` is a file with what other machines have learned, or None.
    """

    def __init__(self, engines: EnginePool, state: Path, priors: Path | None) -> None:
        self._engines = engines
        self._state = state
        self._priors = priors
        self._stored: LearnedState | None = None
        """What the file has, None before it was read."""
        self._has_failed = False
        """Whether the last write has failed."""

    async def keep(self) -> None:
        """Restore what was learned, and then store it again and again, until cancelled."""
        if self._stored is None:
            await self._restore()
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self.store()

    async def store(self) -> None:
        """Write what was learned since the last write. A full disk is logged once."""
        learned = self._engines.estimates.estimator.saved()
        if self._stored is None or learned == self._stored:
            return
        try:
            await asyncio.to_thread(write_state, self._state / FILE, learned)
        except OSError as error:
            if not self._has_failed:
                log.warning("what was learned about the seconds of jobs cannot be stored: %s", error)
            self._has_failed = True
        else:
            self._stored, self._has_failed = learned, False

    async def _restore(self) -> None:
        """Read what was learned, as far as it applies to the machine and the software of now."""
        header = _header(await self._engine_info())
        self._stored = await asyncio.to_thread(starting_state, self._state, self._priors, header)
        self._engines.estimates.restore(self._stored)

    async def _engine_info(self) -> EngineInfo:
        """Wait until an engine is connected, and return its facts."""
        while True:
            with suppress(TimeoutError, EngineUnavailable):
                await self._engines.wait_until_connected(CONNECT_S)
                return await self._engines.info()
            await asyncio.sleep(RETRY_S)


def _header(info: EngineInfo) -> StateHeader:
    """Return what learned seconds depend on."""
    return StateHeader(image=f"{__version__}, ComfyUI {info.version}", gpu=info.device, torch=info.torch)
