"""Pauses of the worker's event loop while a job with a large file in its body is submitted and run."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bench.finding import Measurement
from bench.servers.direct import JobFailedError
from bench.servers.processes import BenchEngine
from bench.spread import Spread
from worker.app import build
from worker.settings import Settings

TICK_S = 0.001


async def pauses(engine: BenchEngine, folder: Path, rounds: int, at_most_s: float, mebibytes: int = 60) -> Measurement:
    """Return the longest pause of the event loop in each round, while a job with a large input is submitted.

    The worker runs in this process, and the client in a process of its own.
    """
    folders = {} if engine.folder is None else {"comfyui_input": engine.folder / "input"}
    settings = Settings.of(comfyui=engine.url, port=0, state=folder, **folders)
    longest = []
    async with build(settings) as app:
        await app.ready()
        await _send_jobs(app.url, mebibytes, 1)
        for _ in range(rounds):
            async with measure_gaps() as gaps:
                await _send_jobs(app.url, mebibytes, 1)
            longest.append((max(gaps) - TICK_S) * 1000)
    spread = Spread.of(longest)
    return Measurement(
        name=f"longest pause of the event loop while a job with {mebibytes} MiB of base64 is submitted",
        value=f"{spread.median:.1f} ms",
        reference="-",
        measured=spread,
        unit="ms",
        at_most=at_most_s * 1000,
    )


async def _send_jobs(url: str, mebibytes: int, times: int) -> None:
    """Send jobs from another process. Raises JobFailedError."""
    command = ("-m", "bench.servers.sender", url, str(mebibytes), str(times))
    process = await asyncio.create_subprocess_exec(sys.executable, *command)
    if await process.wait():
        raise JobFailedError(f"a job with {mebibytes} MiB of base64 failed")


@asynccontextmanager
async def measure_gaps() -> AsyncIterator[list[float]]:
    """Collect the seconds between two turns of a task that sleeps for a millisecond."""
    gaps: list[float] = []

    async def tick() -> None:
        """Sleep again and again, and store how long each sleep took."""
        last = time.perf_counter()
        while True:
            await asyncio.sleep(TICK_S)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    task = asyncio.create_task(tick())
    try:
        yield gaps
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
