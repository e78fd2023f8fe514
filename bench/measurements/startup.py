"""The time from a worker's start until it responds, relative to importing its libraries."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path

import aiohttp

from bench.finding import Measurement
from bench.servers.direct import JobFailedError
from bench.spread import Spread

IMPORTS = ("-c", "import aiohttp, pydantic")
LISTENING = re.compile(rb"listening on (http://\S+)")


async def startup(folder: Path, rounds: int, at_most: float) -> Measurement:
    """Return the time of `comfy-worker serve` with the embedded engine until /health is 200."""
    imports, starts = [], []
    for _ in range(rounds + 1):
        imports.append(await _import())
        starts.append(await _start(folder))
    return Measurement(
        name="`comfy-worker serve` to the first /health 200",
        value=f"{Spread.of(starts[1:]).median:.2f} s",
        reference=f"{Spread.of(imports[1:]).median:.2f} s (`python {' '.join(IMPORTS)}`)",
        measured=Spread.ratio(starts[1:], imports[1:]),  # the first round fills the page cache
        at_most=at_most,
    )


async def _import() -> float:
    """Return the seconds of importing the libraries."""
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, *IMPORTS)
    if await process.wait():
        raise JobFailedError("the libraries cannot be imported")
    return time.perf_counter() - started


async def _start(folder: Path) -> float:
    """Return the seconds until the worker responds."""
    command = [sys.executable, "-m", "worker", "serve", "--port", "0", "--state", str(folder)]
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        assert process.stderr is not None  # noqa: S101 - it was started with a pipe
        async for line in process.stderr:
            match = LISTENING.search(line)
            if match:
                async with aiohttp.ClientSession() as session, session.get(f"{match[1].decode()}/health") as answer:
                    answer.raise_for_status()
                    return time.perf_counter() - started
        raise JobFailedError("the worker ended before it was listening")
    finally:
        process.terminate()
        await process.communicate()
