"""Memory and open files of a process over the time of a run, and whether they grow."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from chaos.finding import RunFinding

EVERY_S = 0.5
MAX_GROWTH = 0.05
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ResourceSample:
    """One measurement. `progress` of the run is between 0 and 1, `memory` is in MiB."""

    progress: float
    memory: float
    files: int


@dataclass(slots=True)
class ResourceMonitor:
    """Samples the resources of one process."""

    pid: int
    samples: list[ResourceSample] = field(default_factory=list)

    async def run(self, progress: Callable[[], float]) -> None:
        """Take a sample every EVERY_S until cancelled."""
        while True:
            self.samples.append(_sample(self.pid, progress()))
            await asyncio.sleep(EVERY_S)

    def tenths(self) -> str:
        """Return the median memory in MiB of each tenth of the run, as text."""
        parts = [
            [sample.memory for sample in self.samples if int(sample.progress * 10) == tenth] for tenth in range(10)
        ]
        return ", ".join(f"{median(part):.0f}" if part else "-" for part in parts)

    def findings(self) -> list[RunFinding]:
        """Compare the last tenth of the run with the second."""
        early = [sample for sample in self.samples if 0.1 <= sample.progress < 0.2]
        late = [sample for sample in self.samples if sample.progress >= 0.9]
        return [
            _growth(
                "memory of the worker (RSS), MiB",
                [sample.memory for sample in early],
                [sample.memory for sample in late],
            ),
            _growth("open files of the worker", [sample.files for sample in early], [sample.files for sample in late]),
        ]


def _growth(name: str, early: Sequence[float], late: Sequence[float]) -> RunFinding:
    """Return a finding about the growth of the median, which a single large response does not change."""
    target = f"last tenth < {MAX_GROWTH:.0%} above the second"
    if not early or not late:
        return RunFinding(name, "the run was too short", target, met=False)
    first, last = median(early), median(late)
    return RunFinding(
        name, f"{first:.0f} -> {last:.0f} ({last / first - 1:+.1%})", target, met=last < first * (1 + MAX_GROWTH)
    )


def _sample(pid: int, progress: float) -> ResourceSample:
    """Measure memory and open files of a process."""
    return ResourceSample(progress, rss_mib(pid), sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()))


def rss_mib(pid: int, field: str = "VmRSS") -> float:
    """Return the resident memory of a process in MiB. The field `VmHWM` is its peak."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    return int(next(line for line in status if line.startswith(field)).split()[1]) / 1024
