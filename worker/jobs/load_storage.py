"""Keeps what the worker learns about the seconds of jobs and about the units of calls over its restarts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import orjson

from worker import __version__
from worker.engine.pool import EnginePool
from worker.engine.protocol.responses import EngineInfo
from worker.errors import EngineUnavailable
from worker.gpus.monitor import GpuMonitor
from worker.jobs.learned_load import FILE, starting_state, write_json, write_state
from worker.load.call_units import CallUnits, SavedSamples
from worker.load.learning.learned_state import LearnedState, StateHeader
from worker.supervision import Tasks, stop

log = logging.getLogger(__name__)

CALLS_FILE = "calls.json"
"""Name of the file with the units of calls in the state folder."""
SAVE_EVERY_S = 60.0
"""Seconds between two writes of the file. A crash loses what was learned since the last one."""
CONNECT_S, RETRY_S = 3600.0, 1.0
"""Seconds of one wait for an engine, and until its facts are requested again."""


class StoredCalls:
    """The file with the units of calls."""

    def __init__(self, calls: CallUnits, path: Path) -> None:
        self._calls = calls
        self._path = path
        self._stored: list[SavedSamples] = []

    def read(self) -> None:
        """Restore the units of calls. Blocks. Logs a file that cannot be read."""
        try:
            self._calls.restore(orjson.loads(self._path.read_bytes()))
        except FileNotFoundError:
            pass  # no call has ended yet
        except (OSError, orjson.JSONDecodeError) as error:
            log.warning("what was learned about calls of handlers is not used: %s: %s", self._path, error)
        self._stored = self._calls.saved()

    def write(self) -> None:
        """Write what has changed since the last write. Blocks. Raises OSError."""
        saved = self._calls.saved()
        if saved != self._stored:
            write_json(self._path, saved)
            self._stored = saved


class LoadStorage:
    """Restores what earlier processes have learned once an engine is connected, and stores what is learned.

    `priors` is a file with what other machines have learned, or None. The units of calls do not depend on the machine,
    so they are restored at once.
    """

    def __init__(
        self, engines: EnginePool, gpus: GpuMonitor, state: Path, priors: Path | None, calls: CallUnits
    ) -> None:
        self._engines = engines
        self._calls = StoredCalls(calls, state / CALLS_FILE)
        self._gpus = gpus
        self._state = state
        self._priors = priors
        self._stored: LearnedState | None = None
        """What the file has, None before it was read."""
        self._has_failed = False
        """Whether the last write has failed."""

    @asynccontextmanager
    async def running(self, tasks: Tasks) -> AsyncIterator[None]:
        """Restore and store while the context lasts, and store a last time at its end."""
        await asyncio.to_thread(self._calls.read)
        keeping = tasks.start("learned-load", self._keep)
        try:
            yield
        finally:
            await stop(keeping)
            await self.store()

    async def _keep(self) -> None:
        """Restore what was learned, and then store it again and again, until cancelled."""
        if self._stored is None:
            await self._restore()
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await self.store()

    async def store(self) -> None:
        """Write what was learned since the last write. A full disk is logged once."""
        learned = self._engines.estimates.estimator.saved()
        try:
            await asyncio.to_thread(self._calls.write)
            if self._stored is None or learned == self._stored:
                return
            await asyncio.to_thread(write_state, self._state / FILE, learned)
        except OSError as error:
            if not self._has_failed:
                log.warning("what was learned about the seconds of jobs cannot be stored: %s", error)
            self._has_failed = True
        else:
            self._stored, self._has_failed = learned, False

    async def _restore(self) -> None:
        """Read what was learned, as far as it applies to the machine and the software of now."""
        info = await self._engine_info()
        driver = await self._gpus.driver_version()
        gpus = ", ".join(state.gpu.uuid for state in self._gpus.report().gpus) or info.device
        header = StateHeader(f"{__version__}, ComfyUI {info.version}", driver, gpus, info.torch)
        self._stored = await asyncio.to_thread(starting_state, self._state, self._priors, header)
        self._engines.estimates.restore(self._stored)

    async def _engine_info(self) -> EngineInfo:
        """Wait until an engine is connected, and return its facts."""
        while True:
            with suppress(TimeoutError, EngineUnavailable):
                await self._engines.wait_until_connected(CONNECT_S)
                return await self._engines.info()
            await asyncio.sleep(RETRY_S)
