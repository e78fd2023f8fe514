"""The time of a job through the worker, compared with a client of ComfyUI itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.finding import Measurement, milliseconds
from bench.prompts import Workload
from bench.rounds import TimedClient, medians
from bench.spread import Spread


@dataclass(frozen=True, slots=True)
class LatencyPair:
    """Two clients whose times are divided. `at_most` is the target for the first workload."""

    ours: str
    theirs: str
    at_most: float | None


async def latency(
    clients: Mapping[str, TimedClient], pairs: Sequence[LatencyPair], workloads: Sequence[Workload], rounds: int
) -> list[Measurement]:
    """Return the ratio of each pair for each workload. Targets apply to the first workload only."""
    names = {name for pair in pairs for name in (pair.ours, pair.theirs)}
    clients = {name: client for name, client in clients.items() if name in names}
    findings = []
    for workload in workloads:
        times = await medians(clients, workload, rounds)
        for pair in pairs:
            ours, theirs = times[pair.ours], times[pair.theirs]
            findings.append(
                Measurement(
                    name=f"{workload.title}, {pair.ours}",
                    value=milliseconds(Spread.of(ours)),
                    reference=f"{milliseconds(Spread.of(theirs))} ({pair.theirs})",
                    measured=Spread.ratio(ours, theirs),
                    at_most=pair.at_most if workload is workloads[0] else None,
                )
            )
    return findings
