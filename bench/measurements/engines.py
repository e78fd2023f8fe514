"""Throughput of several engines behind one worker, relative to one engine.

The engines sleep instead of computing, so that only the worker's overhead counts.
"""

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
from bench.rounds import TimedClient
from bench.servers import served
from bench.servers.processes import BenchEngine, worker
from bench.spread import Spread

READY_S, POLL_S = 60.0, 0.1
COST_S = 0.4
"""Seconds that an engine sleeps for a job."""


@asynccontextmanager
async def workers(folder: Path, counts: tuple[int, ...]) -> AsyncIterator[dict[int, TimedClient]]:
    """Yield a client of a worker for each number of embedded engines, once all engines are ready."""
    worker_starts_engine = BenchEngine("embedded", None)
    async with (
        served.open_session() as session,
        worker(worker_starts_engine, folder / "one", env={"WORKER_GPUS": str(counts[0])}) as first,
        worker(worker_starts_engine, folder / "several", env={"WORKER_GPUS": str(counts[1])}) as second,
    ):
        clients = {}
        for count, running in zip(counts, (first, second), strict=True):
            await _wait_until_ready(session, running.url)
            clients[count] = served.kept_client(
                served.Peer(f"{count}", "native", f"{running.url}/generate/sync"), session
            )
        yield clients


async def engines(clients: Mapping[int, TimedClient], jobs: int, rounds: int, at_least: float | None) -> Measurement:
    """Return the jobs per second with several engines relative to one. Each engine gets `jobs` at once.

    The order of the workers is reversed in every second round.
    """
    rates: dict[int, list[float]] = {count: [] for count in clients}
    for round_number in range(rounds + 1):
        for count in list(clients)[:: 1 if round_number % 2 else -1]:
            started_at = time.perf_counter()
            await asyncio.gather(*(clients[count](sleeping(COST_S)) for _ in range(jobs * count)))
            if round_number:  # in the first round the worker measures the speed of its engines
                rates[count].append(jobs * count / (time.perf_counter() - started_at))
    single, several = clients  # the numbers of engines
    return Measurement(
        name=f"jobs of {COST_S:g} s, {several} engines behind one worker",
        value=f"{Spread.of(rates[several]).median:.2f} jobs/s",
        reference=f"{Spread.of(rates[single]).median:.2f} jobs/s (one engine)",
        measured=Spread.ratio(rates[several], rates[single]),
        at_least=at_least,
    )


async def _wait_until_ready(session: aiohttp.ClientSession, url: str) -> None:
    """Wait until all engines are ready. Raises TimeoutError."""
    async with asyncio.timeout(READY_S):
        while True:
            async with session.get(f"{url}/capabilities") as answer:
                body = orjson.loads(await answer.read())
            if all(engine["state"] == "ready" for engine in body["engines"]):
                return
            await asyncio.sleep(POLL_S)
