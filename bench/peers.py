"""Other servers in front of the same ComfyUI, asked for the same jobs in turns with this one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from bench.burst import burst
from bench.prompts import Workload
from bench.rounds import Ask, medians
from bench.served import Peer, kept
from bench.spread import Spread

DIRECT = "ComfyUI itself"
BURST, BURSTS = 10, 2
"""Jobs at once and how often: few, because some peers take two seconds for each."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One server: seconds of a job, the same over and above `first`, and its rate in a burst over that of `first`."""

    name: str
    seconds: Spread
    ratio: Spread
    above: Spread
    burst: Spread


async def peers(
    first: Ask, servers: Sequence[Peer], session: aiohttp.ClientSession, workload: Workload, rounds: int
) -> list[Standing]:
    """Every server over a kept connection; `first` is the fresh client that speaks to ComfyUI itself."""
    asks = {DIRECT: first, **{server.name: kept(server, session) for server in servers}}
    times = await medians(asks, workload, rounds)
    rates = await burst(asks, workload.make, BURST, BURSTS)
    return list(_standings(times, rates))


def _standings(times: Mapping[str, list[float]], rates: Mapping[str, list[float]]) -> Iterator[Standing]:
    for name in times:
        above = [one - other for one, other in zip(times[name], times[DIRECT], strict=True)]
        yield Standing(
            name=name,
            seconds=Spread.of(times[name]),
            ratio=Spread.ratio(times[name], times[DIRECT]),
            above=Spread.of(above),
            burst=Spread.ratio(rates[name], rates[DIRECT]),
        )
