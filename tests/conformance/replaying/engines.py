"""The engine under test as a child process: a command with {port} and {base}, so that a scenario may kill it."""

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
"""Between two looks at a process that is starting: it has no other way to say that it answers."""


@dataclass(slots=True)
class EngineUnderTest:
    """`async with Engine(...)` runs one; `base` holds its input, output and temp folders."""

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
        """Raises TimeoutError when it doesn't answer, RuntimeError when it ended instead."""
        words = shlex.split(self.command.format(port=self.port, base=shlex.quote(str(self.base)))) + list(self.flags)
        with (self.base / "engine.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*words, stdout=log, stderr=log)
        async with asyncio.timeout(START_S), aiohttp.ClientSession() as session:
            while not await self._answers(session):
                if self._process.returncode is not None:
                    raise RuntimeError(f"the engine ended: {(self.base / 'engine.log').read_text()[-2000:]}")
                await asyncio.sleep(POLL_S)

    def send_signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    async def ended(self) -> None:
        if self._process is not None:
            await self._process.wait()

    async def end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()

    async def _answers(self, session: aiohttp.ClientSession) -> bool:
        try:
            async with session.get(f"{self.url}/prompt") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False
