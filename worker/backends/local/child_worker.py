"""A worker as a child process: `comfy-worker serve`, restarted when it dies, and stopped with this process."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from worker.backoff import Backoff
from worker.engine.process import die_with_parent
from worker.engine.process.free_port import HOST, free_port
from worker.errors import StartupError
from worker.settings import Settings, environment
from worker.subcommand import worker_command
from worker.supervision import stop

log = logging.getLogger(__name__)

PRINCIPAL = "local"
LOG = "worker.log"
TAIL_LINES = 15
POLL_S = 0.1
STOP_S = 10.0
"""Seconds for running jobs at the end. The worker keeps those that have not ended, and runs them at its next start."""
MARGIN_S = 30.0
"""Seconds for the start of the worker beside that of its engine."""
OF_THIS_PROCESS = frozenset({"WORKER_HEALTH_PORT", "WORKER_HEALTH_PATH"})
"""Settings that a server in this process uses, for example a proxy."""
RESTART = Backoff(0.5, 30.0)
STEADY_S = 60.0
"""After a life of this many seconds, the count of deaths in a row starts again."""


class ChildWorker:
    """A worker with a state folder and a token of its own, on a port of loopback that it keeps over restarts.

    The token is known to this process only. It comes from the environment of the child, so no command line shows it.
    """

    def __init__(self, state: Path) -> None:
        self._state = state.absolute()
        self._port = free_port()
        self._process: asyncio.subprocess.Process | None = None
        self.token = secrets.token_hex(32)

    @property
    def url(self) -> str:
        """The URL of the worker."""
        return f"http://{HOST}:{self._port}"

    @property
    def pid(self) -> int | None:
        """Id of the process, None before the first start."""
        return self._process.pid if self._process else None

    @property
    def log_file(self) -> Path:
        """The log of all starts of the worker."""
        return self._state / LOG

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the worker while the context lasts. Raises StartupError if the first start fails."""
        self._state.mkdir(parents=True, exist_ok=True)
        process = await self._start()
        try:
            await self._wait_until_ready(process)
            keeping = asyncio.create_task(self._keep_alive(process), name="local-worker")
            try:
                yield
            finally:
                await stop(keeping)
        finally:
            await self._stop()

    async def _start(self) -> asyncio.subprocess.Process:
        """Start the worker, which dies with this process."""
        bound_to_parent = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        options = (f"--host={HOST}", f"--port={self._port}", f"--state={self._state}", "--platform=none")
        with self.log_file.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *bound_to_parent,
                *worker_command("serve", *options),
                env=self._environ(environment()),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that Ctrl-C reaches only this process, which then stops the worker
            )
        return self._process

    def _environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the worker: its token, no parent process of its own, and no second port."""
        own = {"WORKER_TOKENS": f"{PRINCIPAL}={self.token}", "WORKER_RESTARTS": "0", "WORKER_PUBLIC_URL": ""}
        return {**{name: value for name, value in environ.items() if name not in OF_THIS_PROCESS}, **own}

    async def _wait_until_ready(self, process: asyncio.subprocess.Process) -> None:
        """Wait until the worker can run a job. Raises StartupError, with the end of its log, if it does not."""
        deadline = time.monotonic() + Settings.from_env().engine.start_s + MARGIN_S
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
            while not await _is_ready(session, f"{self.url}/ready"):
                if process.returncode is not None:
                    raise StartupError(f"the local worker ended with code {process.returncode}{self._tail()}")
                if time.monotonic() > deadline:
                    raise StartupError(f"the local worker is not ready in time{self._tail()}")
                await asyncio.sleep(POLL_S)

    async def _keep_alive(self, process: asyncio.subprocess.Process) -> None:
        """Start the worker again whenever it has died, with growing pauses if it dies at once."""
        deaths = 0
        while True:
            started = time.monotonic()
            code = await process.wait()
            deaths = 1 if time.monotonic() - started > STEADY_S else deaths + 1
            pause_s = RESTART.pause(deaths)
            log.error("the local worker ended with code %d; starting it again in %.1f s", code, pause_s)
            await asyncio.sleep(pause_s)
            process = await self._start()

    async def _stop(self) -> None:
        """Stop the worker: after its running jobs, then at once, then by SIGKILL."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        for end in (process.terminate, process.terminate, process.kill):
            end()
            try:
                async with asyncio.timeout(STOP_S):
                    await process.wait()
                    return
            except TimeoutError:
                continue

    def _tail(self) -> str:
        """Return the last lines of the log, for an error message."""
        lines = self.log_file.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        return "\n  ".join([f". The end of {self.log_file}:", *lines])


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    """Return whether a worker responds that it can run a job."""
    try:
        async with session.get(url) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
