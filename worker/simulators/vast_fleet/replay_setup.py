"""What a replay needs besides a trace and a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import orjson

from worker.simulators.vast_fleet.job_prompt import TIMINGS_FILE, job_prompt

BENCHMARK_UNITS = 10.0
BENCHMARK_FILE = "benchmark.json"


@dataclass(frozen=True, slots=True)
class ReplaySetup:
    """The fleet of a replay. Durations are seconds of the trace.

    Attributes:
        speed: Seconds of the trace in a second.
        boot_s: From the decision to create a worker until it takes jobs.
        wake_s: The same for an inactive worker.
        first_workers: Workers that are ready when the trace begins.
        max_queue_time_s: A worker with more work than this gets no request.
        gpu_speed: Speed of a worker's GPU. 1 is that of an RTX 4090.
        env: Environment of the worker processes, such as PATH, without this program's settings.
    """

    speed: float
    boot_s: float
    wake_s: float
    first_workers: int
    max_queue_time_s: float
    gpu_speed: float = 1.0
    env: Mapping[str, str] = field(default_factory=dict)

    def worker_env(self, folder: Path, kind: str) -> dict[str, str]:
        """Write the workers' benchmark into `folder`, and return the environment of the worker processes.

        The engines run `speed` times as fast as the trace says. `kind` is the kind of job of the benchmark.
        """
        benchmark = folder / BENCHMARK_FILE
        benchmark.write_bytes(orjson.dumps(job_prompt(BENCHMARK_UNITS, BENCHMARK_UNITS / self.gpu_speed, kind, 0)))
        return {
            **self.env,
            "WORKER_BENCHMARK": str(benchmark),
            "WORKER_BENCHMARK_RUNS": "1",
            "WORKER_COMFYUI_ARGS": f"--timings {TIMINGS_FILE} --speed {self.speed:g}",
        }
