"""Other servers in front of the same ComfyUI, asked for the same jobs in turns with this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from bench.measurements.burst import burst
from bench.prompts import Workload
from bench.rounds import Ask, medians
from bench.servers.served import Peer, kept
from bench.spread import Spread

DIRECT = "ComfyUI itself"
BURST, BURSTS = 10, 2
"""Jobs at once and how often: few, because some peers take two seconds for each."""


@dataclass(frozen=True, slots=True)
class PeerResult:
    """A server: seconds of a job and of a direct client's, the one over and above the other, its rate in a burst."""

    name: str
    seconds: Spread
    direct: Spread
    ratio: Spread
    above: Spread
    burst: Spread


async def peers(
    first: Ask, servers: Sequence[Peer], session: aiohttp.ClientSession, workload: Workload, rounds: int
) -> list[PeerResult]:
    """Every server over a kept connection; `first` is the fresh client that speaks to ComfyUI itself.

    Each server takes turns with `first` alone: one that takes seconds for a job would let all others cool down.
    """
    return [await _peer_result(first, server, session, workload, rounds) for server in servers]


async def _peer_result(
    first: Ask, server: Peer, session: aiohttp.ClientSession, workload: Workload, rounds: int
) -> PeerResult:
    asks = {DIRECT: first, server.name: kept(server, session)}
    times = await medians(asks, workload, rounds)
    rates = await burst(asks, workload.make, BURST, BURSTS)
    direct, ours = times[DIRECT], times[server.name]
    return PeerResult(
        name=server.name,
        seconds=Spread.of(ours),
        direct=Spread.of(direct),
        ratio=Spread.ratio(ours, direct),
        above=Spread.of([one - other for one, other in zip(ours, direct, strict=True)]),
        burst=Spread.ratio(rates[server.name], rates[DIRECT]),
    )
