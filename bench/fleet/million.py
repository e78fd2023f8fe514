"""Time and memory of a large run, and the time of a plain loop as a comparison. Each is measured in its own process."""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from heapq import heappop, heappush

from bench.fleet.part import FleetPart, FleetRow
from worker.fleet.simulation.load_report import LoadReport
from worker.fleet.simulation.policies.vast_parameters import VastParameters
from worker.fleet.simulation.policies.vast_readings import VastReading
from worker.fleet.simulation.run.fleet_run import simulate
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.trace import TraceJob

JOBS, SHORT_JOBS = 1_000_000, 50_000
WORKERS = 1000
LOAD = 0.8
"""Share of the time in which the workers work."""
PICTURE_S, VIDEO_S, VIDEOS = 5.0, 110.0, 0.15
SECONDS, GIB = 60.0, 2.0
NOTE = (
    "The large run has Vast's router with queues at the workers, reading B of the autoscaler, starts and stops of "
    "workers, and metered reports. The plain loop has only arrivals and ends of jobs."
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the run, without the trace, and memory in GiB at the peak, with the trace."""

    seconds: float
    gib: float
    served: int


def measure(*, short: bool) -> FleetPart:
    """Return the time and the memory of the simulation, and its ratio to the plain loop."""
    count = SHORT_JOBS if short else JOBS
    ours, plain = _in_process("simulation", count), _in_process("plain", count)
    what = f"{count:,} jobs over {WORKERS:,} workers, one core: "
    return FleetPart(
        [
            FleetRow(what + "time", f"{ours.seconds:.0f} s", f"< {SECONDS:.0f} s", ours.seconds < SECONDS),
            FleetRow(what + "memory", f"{ours.gib:.2f} GiB", f"< {GIB:.0f} GiB", ours.gib < GIB),
            FleetRow(
                f"a plain `heapq` loop with the same jobs, {WORKERS:,} fixed workers and one queue",
                f"{plain.seconds:.1f} s, {plain.gib:.2f} GiB: the simulation takes {ours.seconds / plain.seconds:.1f} "
                "times as long",
            ),
        ],
        [NOTE],
    )


def large_trace(count: int) -> list[TraceJob]:
    """Return pictures and videos, of which each is its own object."""
    chance, now_s, jobs = random.Random("million"), 0.0, []
    rate = LOAD * WORKERS / (VIDEOS * VIDEO_S + (1 - VIDEOS) * PICTURE_S)
    for _ in range(count):
        now_s += chance.expovariate(rate)
        kind, seconds = ("video", VIDEO_S) if chance.random() < VIDEOS else ("picture", PICTURE_S)
        jobs.append(TraceJob(now_s, seconds, seconds * chance.lognormvariate(-0.005, 0.1), kind))
    return jobs


def _in_process(name: str, count: int) -> Cost:
    """Measure in a new process, so that its memory is its own."""
    command = [sys.executable, "-m", "bench.fleet.million", name, str(count)]
    return Cost(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def _simulation(jobs: Sequence[TraceJob]) -> int:
    """Simulate the jobs, and return how many were served."""
    parameters = VastParameters(max_workers=WORKERS, target_util=LOAD)
    scenario = FleetScenario(
        jobs,
        lambda: VastReading.QUEUE.policy(parameters),
        report=LoadReport(metering=True),
        ready_at_start=WORKERS,
    )
    return len(simulate(scenario).waits_s())


def _plain(jobs: Sequence[TraceJob]) -> int:
    """Do the least that a simulation has to do: jobs arrive, wait in one queue, run on one of the workers, and end."""
    ends: list[tuple[float, int]] = []
    queue: deque[int] = deque()
    free, served = WORKERS, 0
    for number, job in enumerate(jobs):
        while ends and ends[0][0] <= job.at_s:
            now_s, _ = heappop(ends)
            served += 1
            if queue:
                waiting = queue.popleft()
                heappush(ends, (now_s + jobs[waiting].seconds, waiting))
            else:
                free += 1
        if free:
            free -= 1
            heappush(ends, (job.at_s + job.seconds, number))
        else:
            queue.append(number)
    return served + len(ends) + len(queue)


RUNS: Mapping[str, Callable[[Sequence[TraceJob]], int]] = {"simulation": _simulation, "plain": _plain}


def main() -> None:
    """Run one of the two, and print its cost as JSON."""
    name, count = sys.argv[1], int(sys.argv[2])
    jobs = large_trace(count)
    began = time.perf_counter()
    served = RUNS[name](jobs)
    seconds = time.perf_counter() - began
    if served != count:
        sys.exit(f"{served} of {count} jobs were served")
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(asdict(Cost(seconds, peak_kib / 2**20, served))))


if __name__ == "__main__":
    main()
