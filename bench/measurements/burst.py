"""Many jobs at once: how many a second come back, against a client that posts them all to ComfyUI itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from bench.finding import Measurement
from bench.prompts import Make
from bench.rounds import Ask
from bench.spread import Spread


async def burst(asks: Mapping[str, Ask], make: Make, jobs: int, rounds: int) -> dict[str, list[float]]:
    """By server, jobs a second of each round; each round every server takes `jobs` at once."""
    rates: dict[str, list[float]] = {name: [] for name in asks}
    for number in range(rounds + 1):
        for name in list(asks)[:: 1 if number % 2 else -1]:
            started = time.perf_counter()
            await asyncio.gather(*(asks[name](make()) for _ in range(jobs)))
            if number:  # the first round opens the connections
                rates[name].append(jobs / (time.perf_counter() - started))
    return rates


async def burst_ratio(
    asks: Mapping[str, Ask],
    make: Make,
    jobs: int,
    rounds: int,
    at_least: float | None,
    quartile_at_least: float | None = None,
) -> Measurement:
    """The second of two servers over the first."""
    rates = await burst(asks, make, jobs, rounds)
    theirs, ours = asks
    return Measurement(
        what=f"burst of {jobs}, {ours}",
        here=f"{Spread.of(rates[ours]).median:.0f} jobs/s",
        against=f"{Spread.of(rates[theirs]).median:.0f} jobs/s ({theirs})",
        measured=Spread.ratio(rates[ours], rates[theirs]),
        at_least=at_least,
        quartile_at_least=quartile_at_least,
    )
