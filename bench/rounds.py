"""Rounds in which several clients run jobs in turns."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping

from bench.prompts import Make, Workload
from worker.workflow.prompt import Prompt

TimedClient = Callable[[Prompt], Awaitable[float]]
"""Runs a job and returns the seconds until the bytes of its image have arrived. Raises JobFailedError."""

WARM_UP = 2
"""Number of jobs of each client that are not measured."""


async def medians(clients: Mapping[str, TimedClient], workload: Workload, rounds: int) -> dict[str, list[float]]:
    """Return the median seconds of a job in each round, by client. The order of the clients changes with each job."""
    for client in clients.values():
        for _ in range(WARM_UP):
            await client(workload.make())
    medians_by_client: dict[str, list[float]] = {name: [] for name in clients}
    for _ in range(rounds):
        for name, times in (await _round(clients, workload.make, workload.jobs)).items():
            medians_by_client[name].append(statistics.median(times))
    return medians_by_client


async def _round(clients: Mapping[str, TimedClient], make: Make, jobs: int) -> dict[str, list[float]]:
    """Return the seconds of each job of one round, by client."""
    names = list(clients)
    times: dict[str, list[float]] = {name: [] for name in clients}
    for number in range(jobs):
        first = number % len(names)  # another client begins with each job
        for name in (*names[first:], *names[:first]):
            times[name].append(await clients[name](make()))
    return times
