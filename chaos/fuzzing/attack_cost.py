"""The cost of an attack: memory and pauses of a worker testbed the SDK while unsigned clients attack it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from chaos.finding import RunFinding, at_least, expect_none, fact
from chaos.fuzzing.attack_clients import AttackClients
from chaos.resource_monitor import rss_mib
from chaos.testbed.child_process import ROOT
from chaos.testbed.sdk_worker import SdkTestbed, signed_auth

MAX_MEMORY_MIB, MAX_PAUSE_S = 64, 0.1
SIGNED_CLIENTS = 6
WORKFLOW = {
    "1": {"class_type": "EmptyImage", "inputs": {"width": 32, "height": 32, "batch_size": 1, "color": 1}},
    "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "beside"}},
}
FIRST_NUMBER = 10_000_000
"""First request number of the attack, above the numbers of the other requests."""
SAMPLE_S = 0.05
JOB_PAUSE_S = 0.1
"""Pause of a client between two jobs, so that the signed jobs add little load of their own."""


@dataclass(frozen=True, slots=True)
class AttackPlan:
    """The number of attacking requests of each kind."""

    bodies: int
    half_open: int
    seed: int


async def measure_attack(http: aiohttp.ClientSession, testbed: SdkTestbed, attack: AttackPlan) -> list[RunFinding]:
    """Attack the worker while signed jobs run, and return the findings."""
    port, pid = int(testbed.url.rpartition(":")[2]), testbed.child.pid
    attackers, ended, jobs = AttackClients(port, attack.seed), asyncio.Event(), Counter[str]()
    before = rss_mib(pid)
    async with _PauseProbe(int(testbed.child.env["WORKER_GATEWAY_PORT"]), pid) as probe, asyncio.TaskGroup() as group:
        peak = group.create_task(_peak_memory(pid, ended))
        group.create_task(attackers.half_open(attack.half_open, ended))
        clients = [group.create_task(_jobs(http, testbed, jobs, number, ended)) for number in range(SIGNED_CLIENTS)]
        await attackers.bodies(attack.bodies)
        ended.set()
        await asyncio.gather(*clients)
    probes, failed, pause_s, latency_s = probe.result
    growth = await peak - before
    codes = ", ".join(f"{status or 'none'}: {count:,}" for status, count in sorted(attackers.statuses.items()))
    served = {status: count for status, count in attackers.statuses.items() if 200 <= status < 400 or status == 500}
    return [
        at_least("unsigned bodies", attackers.statuses.total(), attack.bodies),
        fact(
            "half-open connections, and how many of them the worker closed",
            f"{attack.half_open:,}, {attackers.closed:,}",
        ),
        fact("responses to unsigned requests, by status", codes),
        expect_none("unsigned requests that were served or returned 500", sum(served.values()), served),
        RunFinding(
            "memory above the start (RSS), MiB", f"{growth:.0f}", f"<= {MAX_MEMORY_MIB}", met=growth <= MAX_MEMORY_MIB
        ),
        RunFinding(
            "longest pause of the worker, ms",
            f"{pause_s * 1000:.0f} (response after {latency_s * 1000:.0f}, {probes:,} probes)",
            f"<= {MAX_PAUSE_S * 1000:.0f}",
            met=pause_s <= MAX_PAUSE_S,
        ),
        expect_none("probes without a response", failed),
        at_least("signed jobs during the attack", jobs["done"], SIGNED_CLIENTS),
        expect_none("signed jobs that failed", jobs.total() - jobs["done"], dict(jobs)),
    ]


async def _jobs(
    http: aiohttp.ClientSession, testbed: SdkTestbed, jobs: Counter[str], number: int, ended: asyncio.Event
) -> None:
    """Send signed jobs one after another until the attack ends, each on a new connection."""
    number = FIRST_NUMBER * (number + 1)
    while not ended.is_set():
        number += 1
        payload: dict[str, Any] = {"workflow": WORKFLOW, "output_format": "base64"}
        body = orjson.dumps({"auth_data": signed_auth(testbed, number), "payload": payload})
        try:
            async with http.post(
                f"{testbed.url}/generate/sync", data=body, headers={"Connection": "close"}
            ) as response:
                await response.read()
                jobs["done" if response.status == 200 else str(response.status)] += 1
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            jobs[type(error).__name__] += 1
        await asyncio.sleep(JOB_PAUSE_S)


async def _peak_memory(pid: int, ended: asyncio.Event) -> float:
    """Return the highest resident memory in MiB until the attack ends."""
    highest = 0.0
    while not ended.is_set():
        highest = max(highest, rss_mib(pid))
        await asyncio.sleep(SAMPLE_S)
    return highest


class _PauseProbe:
    """The process that measures pauses while the context is open. Afterwards `result` has its measurements.

    They are the number of probes, the number without a response, and the longest pause and latency in seconds.
    """

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
        out, _ = await self._process.communicate(b"")  # the probe ends when its input is closed
        self.result = tuple(json.loads(out))
