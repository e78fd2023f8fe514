"""A child process that can be killed, stopped and started again with the same folders."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
STOP_S = 40.0
"""Seconds that a process has to end before it is killed."""


@dataclass(slots=True)
class ChildProcess:
    """A Python process. `arguments` follow `python -m`. The output of every start is appended to `log`."""

    arguments: Sequence[str]
    folder: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id. Raises RuntimeError when the process is not running."""
        if self.process is None or self.process.returncode is not None:
            raise RuntimeError(f"{' '.join(self.arguments)} is not running: see {self.log}")
        return self.process.pid

    async def start(self) -> None:
        """Start the process with an environment and a home folder of its own."""
        home, temp = self.folder / "home", self.folder / "tmp"
        for path in (home, temp):
            path.mkdir(parents=True, exist_ok=True)
        base_env = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "TMPDIR": str(temp),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self.arguments,
                cwd=self.folder,
                env={**base_env, **self.env},
                stdout=output,
                stderr=output,
            )

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal if the process is running."""
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def wait(self) -> int:
        """Wait for the end of the process and return its exit code."""
        return await self.process.wait() if self.process else 0

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code. A process that does not end within STOP_S is killed."""
        self.send_signal(number)
        try:
            async with asyncio.timeout(STOP_S):
                return await self.wait()
        except TimeoutError:
            self.send_signal(signal.SIGKILL)
            return await self.wait()
