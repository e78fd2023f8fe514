"""Throughput of many jobs at once, compared with a client that posts them all to ComfyUI itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from bench.finding import Measurement
from bench.prompts import Make
from bench.rounds import TimedClient
from bench.spread import Spread


async def burst(clients: Mapping[str, TimedClient], make: Make, jobs: int, rounds: int) -> dict[str, list[float]]:
    """Return the jobs per second of each round, by client. Each client runs `jobs` at once.

    The order of the clients is reversed in every second round.
    """
    rates: dict[str, list[float]] = {name: [] for name in clients}
    for round_number in range(rounds + 1):
        for name in list(clients)[:: 1 if round_number % 2 else -1]:
            started_at = time.perf_counter()
            await asyncio.gather(*(clients[name](make()) for _ in range(jobs)))
            if round_number:  # the first round opens the connections
                rates[name].append(jobs / (time.perf_counter() - started_at))
    return rates


async def burst_ratio(
    clients: Mapping[str, TimedClient],
    make: Make,
    jobs: int,
    rounds: int,
    at_least: float | None,
    quartile_at_least: float | None = None,
) -> Measurement:
    """Return the throughput of the second of two clients relative to the first.

    `at_least` is the target for the median of the ratios, and `quartile_at_least` the one for their lower quartile.
    """
    rates = await burst(clients, make, jobs, rounds)
    theirs, ours = clients  # the names of the two clients
    return Measurement(
        name=f"burst of {jobs}, {ours}",
        value=f"{Spread.of(rates[ours]).median:.0f} jobs/s",
        reference=f"{Spread.of(rates[theirs]).median:.0f} jobs/s ({theirs})",
        measured=Spread.ratio(rates[ours], rates[theirs]),
        at_least=at_least,
        quartile_at_least=quartile_at_least,
    )
