"""The processes of a simulated container, found by a variable that they have inherited."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

KILL_CHECK_S = 0.05


async def kill_marked_processes(variable: str) -> None:
    """Kill all processes that have this variable, as `NAME=VALUE`, and wait until there are none.

    Those that have left the process group of the container are among them.
    """
    while pids := await asyncio.to_thread(_marked, f"{variable}\0".encode()):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(KILL_CHECK_S)


def _marked(mark: bytes) -> list[int]:
    """Return the ids of the processes that have inherited a variable."""
    pids = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):  # the process has ended, or belongs to another user
            if mark in path.read_bytes() + b"\0":
                pids.append(int(path.parent.name))
    return pids
