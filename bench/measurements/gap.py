"""How long ComfyUI stands idle between two jobs, while what the first one made is still being delivered."""

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
    """Against ComfyUI's own gap, when a client has queued all jobs itself. `slow` delivers for a second."""
    ours, own = [], []
    async with DirectClient(engine.url) as client, aiohttp.ClientSession(raise_for_status=True) as session:
        for _ in range(rounds):
            prompts = [flat_picture() for _ in range(jobs)]
            await asyncio.gather(*(client.finish(prompt) for prompt in prompts))
            own.append(await _mean_gap(session, engine.url, jobs))
            await asyncio.gather(*(_run(session, slow.url) for _ in range(jobs)))
            ours.append(await _mean_gap(session, engine.url, jobs))
    theirs = Spread.of(own)
    return Measurement(
        what="ComfyUI idle between two jobs, delivery takes 1 s",
        here=f"{Spread.of(ours).median:.2f} ms",
        against=f"{theirs.median:.2f} ms (queued directly)",
        measured=Spread.of(ours),
        unit="ms",
        at_most=theirs.median * 1.2 + 2,
    )


async def _run(session: aiohttp.ClientSession, url: str) -> None:
    body = orjson.dumps({"workflow": flat_picture(), "output_format": "url"})
    async with session.post(f"{url}/generate/sync", data=body) as answer:
        if orjson.loads(await answer.read())["status"] != "success":
            raise JobFailedError("the slow worker failed")


async def _mean_gap(session: aiohttp.ClientSession, url: str, jobs: int) -> float:
    """Milliseconds from an end to the next start, the mean over the last jobs: ComfyUI writes whole milliseconds."""
    async with session.get(f"{url}/history", params={"max_items": jobs}) as answer:
        entries = orjson.loads(await answer.read()).values()
    times = sorted(_start_and_end(entry) for entry in entries)
    return statistics.fmean(start - end for (_, end), (start, _) in pairwise(times))


def _start_and_end(entry: Mapping[str, Any]) -> tuple[int, int]:
    marks = {event: data["timestamp"] for event, data in entry["status"]["messages"]}
    return marks["execution_start"], marks["execution_success"]
