"""The time that ComfyUI is idle between two jobs while the outputs of the first one are delivered."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import aiohttp
import orjson

from bench.finding import Measurement
from bench.prompts import flat_picture
from bench.servers.direct import DirectClient, JobFailedError
from bench.servers.processes import BenchEngine, BenchWorker
from bench.spread import Spread


async def gap(engine: BenchEngine, slow: BenchWorker, jobs: int, rounds: int) -> Measurement:
    """Return the idle time of ComfyUI between two jobs of the worker.

    The target depends on the idle time between prompts that are queued directly.

    `slow` is a worker that takes a second to deliver an output.
    """
    behind_worker, direct = [], []
    async with DirectClient(engine.url) as client, aiohttp.ClientSession(raise_for_status=True) as session:
        for _ in range(rounds):
            prompts = [flat_picture() for _ in range(jobs)]
            await asyncio.gather(*(client.finish(prompt) for prompt in prompts))
            direct.append(await _mean_gap(session, engine.url, jobs))
            await asyncio.gather(*(_run(session, slow.url) for _ in range(jobs)))
            behind_worker.append(await _mean_gap(session, engine.url, jobs))
    direct_gap = Spread.of(direct)
    return Measurement(
        name="ComfyUI idle between two jobs, delivery takes 1 s",
        value=f"{Spread.of(behind_worker).median:.2f} ms",
        reference=f"{direct_gap.median:.2f} ms (queued directly)",
        measured=Spread.of(behind_worker),
        unit="ms",
        at_most=direct_gap.median * 1.2 + 2,
    )


async def _run(session: aiohttp.ClientSession, url: str) -> None:
    """Run a job whose output is returned by URL."""
    body = orjson.dumps({"workflow": flat_picture(), "output_format": "url"})
    async with session.post(f"{url}/generate/sync", data=body) as answer:
        if orjson.loads(await answer.read())["status"] != "success":
            raise JobFailedError("the slow worker failed")


async def _mean_gap(session: aiohttp.ClientSession, url: str, jobs: int) -> float:
    """Return the mean milliseconds between the end of a job and the start of the next.

    It is a mean because ComfyUI's timestamps are whole milliseconds.
    """
    async with session.get(f"{url}/history", params={"max_items": jobs}) as answer:
        entries = orjson.loads(await answer.read()).values()
    times = sorted(_start_and_end(entry) for entry in entries)
    return statistics.fmean(next_start - end for (_, end), (next_start, _) in pairwise(times))


def _start_and_end(entry: Mapping[str, Any]) -> tuple[int, int]:
    """Return when a prompt started and when it ended, in milliseconds since 1970."""
    times = {event: data["timestamp"] for event, data in entry["status"]["messages"]}
    return times["execution_start"], times["execution_success"]
