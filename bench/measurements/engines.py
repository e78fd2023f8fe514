"""How much several engines behind one worker do, against one. They sleep their cost: what counts is the worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson

from bench.finding import Measurement
from bench.prompts import sleeping
from bench.rounds import Ask
from bench.servers import served
from bench.servers.processes import BenchEngine, worker
from bench.spread import Spread

READY_S, LOOK_S = 60.0, 0.1
COST_S = 0.4


@asynccontextmanager
async def workers(folder: Path, counts: tuple[int, ...]) -> AsyncIterator[dict[int, Ask]]:
    """Yield a worker for each number of embedded engines, once all of them are ready."""
    none = BenchEngine("embedded", None)
    async with (
        served.open_session() as session,
        worker(none, folder / "one", env={"WORKER_GPUS": str(counts[0])}) as first,
        worker(none, folder / "several", env={"WORKER_GPUS": str(counts[1])}) as second,
    ):
        asks = {}
        for count, running in zip(counts, (first, second), strict=True):
            await _all_ready(session, running.url)
            asks[count] = served.kept(served.Peer(f"{count}", "native", f"{running.url}/generate/sync"), session)
        yield asks


async def engines(asks: Mapping[int, Ask], jobs: int, rounds: int, at_least: float | None) -> Measurement:
    """Finished jobs a second with several engines over those with one; each engine gets so many `jobs` at once."""
    rates: dict[int, list[float]] = {count: [] for count in asks}
    for number in range(rounds + 1):
        for count in list(asks)[:: 1 if number % 2 else -1]:
            started = time.perf_counter()
            await asyncio.gather(*(asks[count](sleeping(COST_S)) for _ in range(jobs * count)))
            if number:  # in the first round the worker learns how fast its engines are
                rates[count].append(jobs * count / (time.perf_counter() - started))
    one, several = asks
    return Measurement(
        what=f"jobs of {COST_S:g} s, {several} engines behind one worker",
        here=f"{Spread.of(rates[several]).median:.2f} jobs/s",
        against=f"{Spread.of(rates[one]).median:.2f} jobs/s (one engine)",
        measured=Spread.ratio(rates[several], rates[one]),
        at_least=at_least,
    )


async def _all_ready(session: aiohttp.ClientSession, url: str) -> None:
    """Raises TimeoutError."""
    async with asyncio.timeout(READY_S):
        while True:
            async with session.get(f"{url}/capabilities") as answer:
                body = orjson.loads(await answer.read())
            if all(engine["state"] == "ready" for engine in body["engines"]):
                return
            await asyncio.sleep(LOOK_S)
