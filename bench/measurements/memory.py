"""The memory that a worker needs to deliver a large output."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from bench.finding import Measurement
from bench.prompts import Make
from bench.servers.direct import JobFailedError
from bench.servers.processes import BenchWorker
from bench.spread import Spread

MIB = 1024 * 1024
PEAK, CURRENT = "VmHWM", "VmRSS"
RESET_PEAK = "5"
"""Value for /proc/PID/clear_refs that resets the peak."""


@dataclass(frozen=True, slots=True)
class MemoryKind:
    """How the file gets to the client, and the target in MiB."""

    how: str
    at_most: float


async def memory(worker: BenchWorker, make: Make, mebibytes: int, rounds: int, kind: MemoryKind) -> Measurement:
    """Return the worker's peak memory while it collects, hashes and delivers a file, above its previous memory."""
    added = []
    for _ in range(rounds):
        await asyncio.to_thread(Path(f"/proc/{worker.pid}/clear_refs").write_text, RESET_PEAK)
        memory_before = _memory(worker.pid, CURRENT)
        received = await _fetch(worker.url, make)
        added.append(_memory(worker.pid, PEAK) - memory_before)
        if received < mebibytes * 0.9 * MIB:
            raise JobFailedError(f"only {received} bytes of a file of {mebibytes} MiB arrived")
    return Measurement(
        name=f"memory added by an output of {mebibytes} MiB, {kind.how}",
        value=f"{Spread.of(added).median:.1f} MiB",
        reference="-",
        measured=Spread.of(added),
        unit="MiB",
        at_most=kind.at_most,
    )


async def _fetch(url: str, make: Make) -> int:
    """Run a job, download its file and return the number of bytes."""
    body = orjson.dumps({"workflow": make(), "output_format": "url"})
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        async with session.post(f"{url}/generate/sync", data=body) as answer:
            result = orjson.loads(await answer.read())
        async with session.get(result["outputs"][0]["url"]) as file:
            return sum([len(chunk) async for chunk in file.content.iter_any()])


def _memory(pid: int, field: str) -> float:
    """Return a field of /proc/PID/status, which is written there in KiB, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    field_line = next(line for line in lines if line.startswith(field))
    return int(field_line.split()[1]) / 1024
