"""The engine under test as a child process, which a scenario may kill. Its command has the fields {port} and {base}."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from worker.engine.process.free_port import free_port

EMBEDDED = f"{shlex.quote(sys.executable)} -m tests.conformance.replaying.embedded --port {{port}} --base {{base}}"
START_S = 300.0
POLL_S = 0.02
"""Seconds between two requests that test whether a starting engine responds."""


@dataclass(slots=True)
class EngineUnderTest:
    """An engine in a process, started from a command. `base` is its folder with input, output and temp."""

    command: str
    base: Path
    flags: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    _process: asyncio.subprocess.Process | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    async def __aenter__(self) -> Self:
        for folder in ("input", "output", "temp"):
            (self.base / folder).mkdir(parents=True, exist_ok=True)
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.end(signal.SIGKILL)

    async def start(self) -> None:
        """Start the engine. Raises TimeoutError when it does not respond, RuntimeError when it ends."""
        words = shlex.split(self.command.format(port=self.port, base=shlex.quote(str(self.base)))) + list(self.flags)
        with (self.base / "engine.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log)
        async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
            while not await self._answers(session):
                if self._process.returncode is not None:
                    raise RuntimeError(f"the engine ended: {(self.base / 'engine.log').read_text()[-2000:]}")
                await asyncio.sleep(POLL_S)

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        if self._process is not None:
            self._process.send_signal(number)

    async def ended(self) -> None:
        """Wait until the process has ended."""
        if self._process is not None:
            await self._process.wait()

    async def end(self, number: signal.Signals) -> None:
        """Send a signal to the process, and wait until it has ended."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        """Return whether the engine responds."""
        try:
            async with session.get(f"{self.url}/prompt") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False
