"""The process of one worker, in a session and a folder of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from worker.simulators.marked_processes import kill_marked_processes

LOG = "log"


@dataclass(slots=True, eq=False)
class PodProcess:
    """A running worker."""

    process: asyncio.subprocess.Process

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the main process. Its children get none."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def stop(self, grace_s: float | None) -> None:
        """Send SIGTERM, and SIGKILL after `grace_s` seconds. None sends only SIGKILL."""
        if grace_s is None:
            return self.send_signal(signal.SIGKILL)
        self.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self.process.wait()
        except TimeoutError:
            self.send_signal(signal.SIGKILL)


@asynccontextmanager
async def run_pod(command: Sequence[str], environ: Mapping[str, str], folder: Path) -> AsyncIterator[PodProcess]:
    """Run a worker whose HOME is `folder`. With its main process all others end, as in a container.

    The file `log` in the folder has its output, and that of earlier runs.
    """
    with _open_log(folder) as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={"PATH": os.defpath, "PYTHONUNBUFFERED": "1", **environ, "HOME": str(folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield PodProcess(process)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        await kill_marked_processes(f"HOME={folder}")


def _open_log(folder: Path) -> BinaryIO:
    """Create the folder of a worker, and open its log."""
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / LOG).open("ab")
