"""How long a job takes through the worker, against a client that speaks to ComfyUI itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.finding import Measurement, milliseconds
from bench.prompts import Workload
from bench.rounds import Ask, medians
from bench.spread import Spread


@dataclass(frozen=True, slots=True)
class LatencyPair:
    """Which of two asks is divided by which; `at_most` is the target for the first workload."""

    ours: str
    theirs: str
    at_most: float | None


async def latency(
    asks: Mapping[str, Ask], pairs: Sequence[LatencyPair], workloads: Sequence[Workload], rounds: int
) -> list[Measurement]:
    """The medians of each round divided, for every workload and pair. Targets are set for the first workload."""
    asks = {name: ask for name, ask in asks.items() if any(name in {pair.ours, pair.theirs} for pair in pairs)}
    findings = []
    for workload in workloads:
        times = await medians(asks, workload, rounds)
        for pair in pairs:
            ours, theirs = times[pair.ours], times[pair.theirs]
            findings.append(
                Measurement(
                    what=f"{workload.title}, {pair.ours}",
                    here=milliseconds(Spread.of(ours)),
                    against=f"{milliseconds(Spread.of(theirs))} ({pair.theirs})",
                    measured=Spread.ratio(ours, theirs),
                    at_most=pair.at_most if workload is workloads[0] else None,
                )
            )
    return findings
