"""A process that can be killed, stopped and started again as it was."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
STOP_S = 40.0


@dataclass(slots=True)
class Child:
    """`arguments` follow `python -m`; everything it says goes to `log`, of all its lives."""

    arguments: Sequence[str]
    folder: Path
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """Raises RuntimeError where it doesn't run."""
        if self.process is None or self.process.returncode is not None:
            raise RuntimeError(f"{' '.join(self.arguments)} does not run: see {self.log}")
        return self.process.pid

    async def start(self) -> None:
        """With nothing of this process's environment: what it writes and knows is the run's own."""
        home, temp = self.folder / "home", self.folder / "tmp"
        for path in (home, temp):
            path.mkdir(parents=True, exist_ok=True)
        own = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(home),
            "TMPDIR": str(temp),
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        with self.log.open("ab") as sink:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self.arguments,
                cwd=self.folder,
                env={**own, **self.env},
                stdout=sink,
                stderr=sink,
            )

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def ended(self) -> int:
        """Its exit code."""
        return await self.process.wait() if self.process else 0

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end, and make it end where it doesn't."""
        self.send(number)
        try:
            async with asyncio.timeout(STOP_S):
                return await self.ended()
        except TimeoutError:
            self.send(signal.SIGKILL)
            return await self.ended()
