"""How soon a worker answers after its start, in units of importing what it is made of."""

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
    """`comfy-worker serve` as anybody starts it, with the embedded engine, until /health is 200."""
    imports, starts = [], []
    for _ in range(rounds + 1):
        imports.append(await _import())
        starts.append(await _start(folder))
    return Measurement(
        what="`comfy-worker serve` to the first /health 200",
        here=f"{Spread.of(starts[1:]).median:.2f} s",
        against=f"{Spread.of(imports[1:]).median:.2f} s (`python {' '.join(IMPORTS)}`)",
        measured=Spread.ratio(starts[1:], imports[1:]),  # the first round fills the page cache
        at_most=at_most,
    )


async def _import() -> float:
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(sys.executable, *IMPORTS)
    if await process.wait():
        raise JobFailedError("the libraries can't be imported")
    return time.perf_counter() - started


async def _start(folder: Path) -> float:
    command = [sys.executable, "-m", "worker", "serve", "--port", "0", "--state", str(folder)]
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    try:
        assert process.stderr is not None  # noqa: S101 - a pipe was asked for
        async for line in process.stderr:
            if found := LISTENING.search(line):
                async with aiohttp.ClientSession() as session, session.get(f"{found[1].decode()}/health") as answer:
                    answer.raise_for_status()
                    return time.perf_counter() - started
        raise JobFailedError("the worker ended before it listened")
    finally:
        process.terminate()
        await process.communicate()
