"""Rounds in which several servers take turns, job by job."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping

from bench.prompts import Make, Workload
from worker.workflow.prompt import Prompt

Ask = Callable[[Prompt], Awaitable[float]]
"""Runs a job; seconds until its picture's bytes were in hand. Raises JobFailedError."""

WARM_UP = 2


async def medians(asks: Mapping[str, Ask], workload: Workload, rounds: int) -> dict[str, list[float]]:
    """By server, the median seconds of a job in each round. Whoever comes first, comes last the next time."""
    for ask in asks.values():
        for _ in range(WARM_UP):
            await ask(workload.make())
    found: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(rounds):
        for name, times in (await _round(asks, workload.make, workload.jobs)).items():
            found[name].append(statistics.median(times))
    return found


async def _round(asks: Mapping[str, Ask], make: Make, jobs: int) -> dict[str, list[float]]:
    names = list(asks)
    times: dict[str, list[float]] = {name: [] for name in asks}
    for number in range(jobs):
        first = number % len(names)
        for name in (*names[first:], *names[:first]):
            times[name].append(await asks[name](make()))
    return times
