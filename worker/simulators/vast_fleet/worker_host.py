"""Where the worker processes of a replay run, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from worker.fleet.simulation.scenario import FleetScenario
from worker.platforms.vast.settings import RunningJobs
from worker.simulators.vast_fleet.job_prompt import TIMINGS_FILE, job_prompt
from worker.simulators.vast_router import LocalVast

BENCHMARK_UNITS, BENCHMARK_FILE = 20.0, "benchmark.json"


@dataclass(frozen=True, slots=True)
class WorkerHost:
    """The router that the workers report to, their environment, and the folder of their state and logs."""

    vast: LocalVast
    env: Mapping[str, str]
    folder: Path

    def state(self, container_id: int) -> Path:
        """Return the state folder of a worker."""
        return self.folder / f"worker-{container_id}"

    def command(self, container_id: int) -> Sequence[str]:
        """Return the arguments of `comfy-worker` for a worker."""
        address = ("--host", "127.0.0.1", "--port", "0")
        state = ("--state", str(self.state(container_id)))
        return ("serve", "--platform", "vast", "--comfyui", "embedded", *address, *state)


def worker_settings(scenario: FleetScenario, speed: float, folder: Path) -> dict[str, str]:
    """Write the workers' benchmark into `folder`, and return their settings as environment variables.

    Their engines run `speed` times as fast as the trace says. The benchmark does as many units a second as the jobs of
    the trace do in the mean, because a worker that has run for a while has learned that. It has a model of its own, so
    that the first job of a worker loads its model.
    """
    perf = scenario.report.perf(scenario.jobs) * scenario.speed
    benchmark = folder / BENCHMARK_FILE
    benchmark.write_bytes(orjson.dumps(job_prompt(BENCHMARK_UNITS, BENCHMARK_UNITS / perf, "benchmark")))
    return {
        "WORKER_BENCHMARK": str(benchmark),
        "WORKER_BENCHMARK_RUNS": "1",
        "WORKER_COMFYUI_ARGS": f"--timings {TIMINGS_FILE} --speed {speed:g}",
        "WORKER_VAST_RUNNING": RunningJobs(scenario.report.running).value,
        "WORKER_VAST_METERING": str(scenario.report.metering).lower(),
    }
