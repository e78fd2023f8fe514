"""The processes of handlers, and the calls that wait for one of them."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Self

from worker.backoff import Backoff
from worker.errors import HandlerCrashed, HandlersUnavailable, StartupError
from worker.handlers.app_folder import AppFolder
from worker.handlers.process import HandlerProcess, handler_process
from worker.handlers.signature import HandlerTable
from worker.job import Job, Output
from worker.settings import HandlerSettings
from worker.supervision import Tasks

log = logging.getLogger(__name__)

RESTART = Backoff(0.1, 10.0, factor=3)
STEADY_S = 60.0
"""A process that ran this long resets the backoff."""


class HandlerPool:
    """Runs the calls of handlers, in the order of their arrival, each in a process that runs no other."""

    def __init__(self, app: AppFolder, settings: HandlerSettings) -> None:
        self._app = app
        self._settings = settings
        self._processes: dict[str, HandlerProcess] = {}
        """Processes that have imported the app, by name."""
        self._idle: list[HandlerProcess] = []
        self._waiting: dict[str, asyncio.Future[HandlerProcess]] = {}
        """Calls that wait for a process, by the folders of their jobs, in the order of their arrival."""
        self._table: HandlerTable | None = None
        self._loaded = asyncio.Event()
        self._start_problem = ""

    @classmethod
    def of(cls, settings: HandlerSettings) -> Self | None:
        """Return the pool of the app in the settings, or None without one. Raises StartupError."""
        return None if settings.app is None else cls(AppFolder.of(settings, settings.app), settings)

    @property
    def names(self) -> list[str]:
        """Names of all processes."""
        return [f"handlers-{number}" for number in range(self._settings.processes)]

    def running(self, name: str) -> Job | None:
        """Return the call that a process runs, or None."""
        process = self._processes.get(name)
        return process.job if process is not None else None

    def check_loaded(self) -> None:
        """Raise HandlersUnavailable until the app was imported."""
        self._checked_table()

    async def wait_until_loaded(self) -> None:
        """Wait until the app was imported. Raises StartupError if that fails."""
        try:
            await self.table()
        except HandlersUnavailable as error:
            raise StartupError(str(error)) from error

    def position(self, job: Job) -> int:
        """Return the number of calls that start before a job's call."""
        return list(self._waiting).index(job.folder) if job.folder in self._waiting else 0

    def start(self, tasks: Tasks, ports: dict[str, int]) -> None:
        """Start all processes, each with its port of ComfyUI's API, and start them again when they end."""
        for name, port in ports.items():
            tasks.start(name, partial(self._keep_running, name, port))

    async def table(self) -> HandlerTable:
        """Return the handlers of the app, once it was imported. Raises HandlersUnavailable."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.start_s):
                await self._loaded.wait()
        return self._checked_table()

    def _checked_table(self) -> HandlerTable:
        """Return the handlers of the app. Raises HandlersUnavailable until it was imported."""
        if self._table is None:
            raise HandlersUnavailable(f"the handlers cannot be loaded: {self._start_problem or 'they are starting'}")
        return self._table

    async def call(self, job: Job, folder: Path, started: Callable[[], None]) -> Output:
        """Wait for a free process, run the handler of a job in it, and return its result as an output in a folder.

        `started` is called just before the handler runs. Raises HandlerFailed, HandlerCrashed and UnsupportedResult.
        """
        async with self._free_process(job) as process:
            started()
            return await process.call(job, folder)

    @asynccontextmanager
    async def _free_process(self, job: Job) -> AsyncIterator[HandlerProcess]:
        """Wait for a process that runs no call, and hold it."""
        process = next((process for process in self._idle if process.usable), None)
        if process is not None:
            self._idle.remove(process)
        else:
            process = await self._next_free_process(job)
        try:
            yield process
        finally:
            self._release(process)

    async def _next_free_process(self, job: Job) -> HandlerProcess:
        """Wait until a process is free and no earlier call waits for it."""
        future: asyncio.Future[HandlerProcess] = asyncio.get_running_loop().create_future()
        self._waiting[job.folder] = future
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self._release(future.result())
            raise
        finally:
            self._waiting.pop(job.folder, None)

    def _release(self, process: HandlerProcess) -> None:
        """Give a process to the next call that waits, or keep it for a later one."""
        if not process.usable or process.name not in self._processes:
            return
        for folder, future in list(self._waiting.items()):
            del self._waiting[folder]
            if not future.done():
                future.set_result(process)
                return
        self._idle.append(process)

    async def _keep_running(self, name: str, port: int) -> None:
        """Run a process, and start it again each time it has ended. A process that was killed starts again at once."""
        quick_ends = 0
        while True:
            started_at = time.monotonic()
            try:
                cause, killed = await self._run_once(name, port)
            except (OSError, HandlerCrashed) as error:
                cause, killed = str(error), False
                self._start_problem = cause
            quick_ends = 0 if killed or time.monotonic() - started_at > STEADY_S else quick_ends + 1
            pause_s = RESTART.pause(quick_ends) if quick_ends else 0.0
            log.error("the process %s starts again in %.1f s: %s", name, pause_s, cause)
            await asyncio.sleep(pause_s)

    async def _run_once(self, name: str, port: int) -> tuple[str, bool]:
        """Run a process until it ends. Return why it has ended, and whether the worker has killed it.

        Raises OSError if it cannot be started, and HandlerCrashed if it cannot import the app.
        """
        async with handler_process(self._app, name, port) as process:
            self._set_table(HandlerTable.of(await process.loaded_app(self._settings.start_s)))
            self._processes[name] = process
            try:
                self._release(process)
                await asyncio.wait({process.exit_task})
            finally:
                del self._processes[name]
                if process in self._idle:
                    self._idle.remove(process)
            cause = "a call was stopped" if process.killed else f"it {process.cause_of_end}"
            return cause, process.killed

    def _set_table(self, table: HandlerTable) -> None:
        """Keep the handlers that a process has loaded, and log what could not be loaded."""
        if self._table is None or table != self._table:
            for problem in table.problems:
                log.error("%s: %s", problem.file, problem.message)
            log.info("handlers: %s", ", ".join(table.by_name) or "none")
        self._table = table
        self._loaded.set()
