"""The kill of one engine of a worker while it runs a job, for the demo."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from worker.cli.output.failure import Failure
from worker.engine.protocol.api import ComfyApi
from worker.errors import EngineUnavailable

POLL_S, TIMEOUT_S = 0.02, 30.0
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class EngineInProc:
    """An engine's process as Linux lists it. `folder` is the one that it writes to, such as `engine-3`."""

    pid: int
    folder: Path
    url: str


async def kill_one(state: Path) -> str:
    """Wait until an engine with a folder below `state` runs a job, kill it, and return the name of its folder.

    Raises Failure when no engine has run a job for TIMEOUT_S seconds.
    """
    async with aiohttp.ClientSession() as session:
        with suppress(TimeoutError):
            async with asyncio.timeout(TIMEOUT_S):
                while True:
                    for engine in engines(state):
                        if await _runs_job(ComfyApi(session, engine.url)):
                            os.kill(engine.pid, signal.SIGKILL)
                            return engine.folder.name
                    await asyncio.sleep(POLL_S)
    raise Failure(
        "no_engine", f"no engine with a folder below {state} ran a job within {TIMEOUT_S:g} s, so that none was killed"
    )


def engines(state: Path) -> Iterator[EngineInProc]:
    """Yield the embedded engines with folders below `state`, the last started first."""
    # Linux counts process ids up, so that the highest id is the newest process.
    for path in sorted(PROC.glob("[0-9]*/cmdline"), key=lambda path: -int(path.parent.name)):
        with suppress(OSError, ValueError):  # the process has ended, or it is not an engine
            words = path.read_text(errors="replace").split("\0")
            folder, port = Path(words[words.index("--base") + 1]), words[words.index("--port") + 1]
            if folder.is_relative_to(state):
                yield EngineInProc(int(path.parent.name), folder, f"http://127.0.0.1:{port}")


async def _runs_job(api: ComfyApi) -> bool:
    """Return whether the engine responds in time and runs a job."""
    try:
        queue = await api.poll_queue(POLL_S * 10)
    except EngineUnavailable:
        return False
    return queue is not None and queue.running is not None
