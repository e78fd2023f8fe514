"""Other servers in front of the same ComfyUI, measured in turns with this worker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from bench.measurements.burst import burst
from bench.prompts import Workload
from bench.rounds import TimedClient, medians
from bench.servers.served import Peer, kept_client
from bench.spread import Spread

DIRECT = "ComfyUI itself"
BURST, BURSTS = 10, 2
"""Jobs at once, and number of bursts. They are few, because some servers take two seconds for a job."""


@dataclass(frozen=True, slots=True)
class PeerResult:
    """The results of one server.

    `seconds` and `direct` are the times of a job through the server and of a direct client. `ratio` and `above` are
    their ratio and difference. `burst` is the ratio of the jobs per second.
    """

    name: str
    seconds: Spread
    direct: Spread
    ratio: Spread
    above: Spread
    burst: Spread


async def peers(
    first: TimedClient, servers: Sequence[Peer], session: aiohttp.ClientSession, workload: Workload, rounds: int
) -> list[PeerResult]:
    """Return the results of each server over a kept connection. `first` is the fresh client of ComfyUI itself.

    Each server takes turns with `first` only, because a slow server would let the others' connections and caches go
    cold.
    """
    return [await _peer_result(first, server, session, workload, rounds) for server in servers]


async def _peer_result(
    first: TimedClient, server: Peer, session: aiohttp.ClientSession, workload: Workload, rounds: int
) -> PeerResult:
    """Measure one server."""
    clients = {DIRECT: first, server.name: kept_client(server, session)}
    times = await medians(clients, workload, rounds)
    rates = await burst(clients, workload.make, BURST, BURSTS)
    direct, ours = times[DIRECT], times[server.name]
    return PeerResult(
        name=server.name,
        seconds=Spread.of(ours),
        direct=Spread.of(direct),
        ratio=Spread.ratio(ours, direct),
        above=Spread.of([our - their for our, their in zip(ours, direct, strict=True)]),
        burst=Spread.ratio(rates[server.name], rates[DIRECT]),
    )
