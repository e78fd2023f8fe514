"""What strangers cost: memory and pauses of a worker behind the SDK while they attack it, and the jobs beside them."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from chaos.finding import RunFinding, at_least, fact, none
from chaos.fuzzing.strangers import Strangers
from chaos.testbed.child import ROOT
from chaos.testbed.through_sdk import Behind, signed_auth

MEMORY_MIB, PAUSE_S = 64, 0.1
WORKERS = 6
WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 1}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "beside"}},
}
FIRST_NUMBER = 10_000_000
"""Of the router's; above those of the other requests."""
SAMPLE_S = 0.05
BETWEEN_S = 0.1
"""Pause of a client between two jobs: their own load is not what is measured."""


@dataclass(frozen=True, slots=True)
class Attack:
    """How many strangers of each kind come."""

    bodies: int
    half_open: int
    seed: int


async def budget(http: aiohttp.ClientSession, behind: Behind, attack: Attack) -> list[RunFinding]:
    """Attack the worker, with signed jobs beside it, and say what it cost."""
    port, pid = int(behind.url.rpartition(":")[2]), behind.child.pid
    strangers, ended, jobs = Strangers(port, attack.seed), asyncio.Event(), Counter[str]()
    before = _memory(pid)
    async with _PauseProbe(int(behind.child.env["WORKER_GATEWAY_PORT"]), pid) as probe, asyncio.TaskGroup() as group:
        peak = group.create_task(_peak(pid, ended))
        group.create_task(strangers.half_open(attack.half_open, ended))
        clients = [group.create_task(_jobs(http, behind, jobs, number, ended)) for number in range(WORKERS)]
        await strangers.bodies(attack.bodies)
        ended.set()
        await asyncio.gather(*clients)
    probes, failed, pause_s, latency_s = probe.result
    rose = await peak - before
    codes = ", ".join(f"{status or 'none'}: {count:,}" for status, count in sorted(strangers.answers.items()))
    bad = {status: count for status, count in strangers.answers.items() if 200 <= status < 400 or status == 500}
    return [
        at_least("unsigned bodies", strangers.answers.total(), attack.bodies),
        fact("half-open connections, and how many made room", f"{attack.half_open:,}, {strangers.cut:,}"),
        fact("answers to strangers, by status", codes),
        none("strangers that were served, or 500", sum(bad.values()), bad),
        RunFinding("memory above the start (RSS), MiB", f"{rose:.0f}", f"<= {MEMORY_MIB}", met=rose <= MEMORY_MIB),
        RunFinding(
            "longest pause of the worker, ms",
            f"{pause_s * 1000:.0f} (answer after {latency_s * 1000:.0f}, {probes:,} probes)",
            f"<= {PAUSE_S * 1000:.0f}",
            met=pause_s <= PAUSE_S,
        ),
        none("probes without an answer", failed),
        at_least("signed jobs beside them", jobs["done"], WORKERS),
        none("signed jobs that failed", jobs.total() - jobs["done"], dict(jobs)),
    ]


async def _jobs(
    http: aiohttp.ClientSession, behind: Behind, jobs: Counter[str], number: int, ended: asyncio.Event
) -> None:
    """Send one job after the other, each on a connection of its own."""
    number = FIRST_NUMBER * (number + 1)
    while not ended.is_set():
        number += 1
        payload: dict[str, Any] = {"workflow": WORKFLOW, "output_format": "base64"}
        body = orjson.dumps({"auth_data": signed_auth(behind, number), "payload": payload})
        try:
            async with http.post(f"{behind.url}/generate/sync", data=body, headers={"Connection": "close"}) as answer:
                await answer.read()
                jobs["done" if answer.status == 200 else str(answer.status)] += 1
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            jobs[type(error).__name__] += 1
        await asyncio.sleep(BETWEEN_S)


async def _peak(pid: int, ended: asyncio.Event) -> float:
    highest = 0.0
    while not ended.is_set():
        highest = max(highest, _memory(pid))
        await asyncio.sleep(SAMPLE_S)
    return highest


def _memory(pid: int) -> float:
    """MiB."""
    lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


class _PauseProbe:
    """The process that measures pauses, for as long as the context lasts; then `result` has what it saw."""

    def __init__(self, port: int, pid: int) -> None:
        self._arguments = ("-m", "chaos.fuzzing.pause_probe", str(port), str(pid))
        self.result: tuple[int, int, float, float] = (0, 0, 0.0, 0.0)

    async def __aenter__(self) -> _PauseProbe:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, *self._arguments, cwd=ROOT, stdin=pipe, stdout=pipe
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        out, _ = await self._process.communicate(b"")  # closes its input
        self.result = tuple(json.loads(out))
