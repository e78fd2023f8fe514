"""The accident of the demo: one of the engines of a worker is killed while it runs a job."""

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

LOOK_S, LOOKED_S = 0.02, 30.0
PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class EngineInProc:
    """An engine's process as Linux lists it. `folder` is the one that it writes to, `engine-3` for example."""

    pid: int
    folder: Path
    url: str


async def kill_one(state: Path) -> str:
    """Kill the first engine below a folder that is found running a job; return the name of its folder.

    Raises Failure where none is.
    """
    async with aiohttp.ClientSession() as session:
        with suppress(TimeoutError):
            async with asyncio.timeout(LOOKED_S):
                while True:
                    for engine in engines(state):
                        if await _runs(ComfyApi(session, engine.url)):
                            os.kill(engine.pid, signal.SIGKILL)
                            return engine.folder.name
                    await asyncio.sleep(LOOK_S)
    raise Failure("no_engine", f"no engine below {state} was found running a job ({PROC} is needed for that)")


def engines(state: Path) -> Iterator[EngineInProc]:
    """Yield the embedded engines with folders below this one, the last started first."""
    for path in sorted(PROC.glob("[0-9]*/cmdline"), key=lambda path: -int(path.parent.name)):
        with suppress(OSError, ValueError):
            words = path.read_text(errors="replace").split("\0")
            folder, port = Path(words[words.index("--base") + 1]), words[words.index("--port") + 1]
            if folder.is_relative_to(state):
                yield EngineInProc(int(path.parent.name), folder, f"http://127.0.0.1:{port}")


async def _runs(api: ComfyApi) -> bool:
    try:
        look = await api.poll_queue(LOOK_S * 10)
    except EngineUnavailable:
        return False
    return look is not None and look.running is not None
