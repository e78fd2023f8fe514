"""The processor time of a job in the worker's process."""

from __future__ import annotations

from pathlib import Path

from bench.finding import Measurement
from bench.prompts import Make
from bench.rounds import TimedClient
from bench.spread import Spread


async def processor_time(
    client_name: str, run_job: TimedClient, pid: int, make: Make, rounds: int, jobs: int = 50
) -> Measurement:
    """Return the milliseconds of processor time of a job, over all threads. Jobs run one after the other."""
    times_ms = []
    for _ in range(rounds):
        ms_before = _milliseconds(pid)
        for _ in range(jobs):
            await run_job(make())
        times_ms.append((_milliseconds(pid) - ms_before) / jobs)
    spread = Spread.of(times_ms)
    return Measurement(
        name=f"processor time of a job, {client_name}",
        value=f"{spread.median:.2f} ms",
        reference="-",
        measured=spread,
        unit="ms",
    )


def _milliseconds(pid: int) -> float:
    """Return the processor time of a process, from the scheduler's counters in nanoseconds."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text("utf-8").split()[0]) for task in tasks) / 1e6
