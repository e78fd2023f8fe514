"""How much processor time a job costs the worker's process: its ingress, its API and everything behind them."""

from __future__ import annotations

from pathlib import Path

from bench.finding import Measurement
from bench.prompts import Make
from bench.rounds import Ask
from bench.spread import Spread


async def processor_time(what: str, ask: Ask, pid: int, make: Make, rounds: int, jobs: int = 50) -> Measurement:
    """Milliseconds a job, of all threads; jobs come one after the other."""
    found = []
    for _ in range(rounds):
        before = _milliseconds(pid)
        for _ in range(jobs):
            await ask(make())
        found.append((_milliseconds(pid) - before) / jobs)
    spread = Spread.of(found)
    return Measurement(
        what=f"processor time of a job, {what}",
        here=f"{spread.median:.2f} ms",
        against="-",
        measured=spread,
        unit="ms",
    )


def _milliseconds(pid: int) -> float:
    """From the scheduler's own count, which is in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text("utf-8").split()[0]) for task in tasks) / 1e6
