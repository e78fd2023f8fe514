"""Memory and open files of a process over time, and whether they grow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from chaos.finding import RunFinding

EVERY_S = 0.5
GROWTH = 0.05
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Sample:
    """`progress` from 0 to 1; `memory` in MiB."""

    progress: float
    memory: float
    files: int


@dataclass(slots=True)
class Gauge:
    pid: int
    samples: list[Sample] = field(default_factory=list)

    async def watch(self, progress: Callable[[], float]) -> None:
        """Until cancelled."""
        while True:
            self.samples.append(_sample(self.pid, progress()))
            await asyncio.sleep(EVERY_S)

    def tenths(self) -> str:
        """MiB, the median of each tenth of the run."""
        parts = [[one.memory for one in self.samples if int(one.progress * 10) == tenth] for tenth in range(10)]
        return ", ".join(f"{median(part):.0f}" if part else "-" for part in parts)

    def findings(self) -> list[RunFinding]:
        """The last tenth against the second."""
        early = [sample for sample in self.samples if 0.1 <= sample.progress < 0.2]
        late = [sample for sample in self.samples if sample.progress >= 0.9]
        return [
            _flat("memory of the worker (RSS), MiB", [one.memory for one in early], [one.memory for one in late]),
            _flat("open files of the worker", [one.files for one in early], [one.files for one in late]),
        ]


def _flat(what: str, early: Sequence[float], late: Sequence[float]) -> RunFinding:
    """Medians, so that a single large answer under way decides nothing."""
    target = f"last tenth < {GROWTH:.0%} above the second"
    if not early or not late:
        return RunFinding(what, "too short a run to say", target, met=False)
    first, last = median(early), median(late)
    return RunFinding(
        what, f"{first:.0f} -> {last:.0f} ({last / first - 1:+.1%})", target, met=last < first * (1 + GROWTH)
    )


def _sample(pid: int, progress: float) -> Sample:
    return Sample(progress, rss_mib(pid), sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


def rss_mib(pid: int, field: str = "VmRSS") -> float:
    """Return the resident memory of a process; of `VmHWM`, the most that it ever was."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return int(next(line for line in status if line.startswith(field)).split()[1]) / 1024
