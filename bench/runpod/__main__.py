"""`python -m bench.runpod`: how long ComfyUI is idle between two jobs of a full queue of RunPod.

This worker, and RunPod's SDK with a minimal handler before the same worker, take the same jobs from the stand-in. The
environment of the SDK is in RUNPOD_SDKS/1.11, by default `.venv/runpod/1.11`. Without it, only this worker is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
from collections.abc import Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from bench import machine
from bench.servers.processes import embedded_engine, running, worker
from worker.simulators.runpod import LocalRunpod, RunpodAssumptions, serve

LIMIT_MS = 20.0
"""Largest p95 of the gaps of this worker."""
JOBS, SHORT_JOBS, SDK_JOBS, WARM_UP = 200, 40, 60, 5
SHORTEST_S, LONGEST_S = 0.1, 1.0
SDK_PYTHON = Path(os.environ.get("RUNPOD_SDKS", ".venv/runpod")) / "1.11" / "bin" / "python"
STATE = Path(".state")
_colors = count(1)


def main() -> None:
    """Measure, print the rows, and exit with 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer jobs")
    jobs = SHORT_JOBS if parser.parse_args().short else JOBS
    STATE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=STATE) as folder:
        p95_ms = uvloop.run(measure(Path(folder).resolve(), jobs))
    sys.exit(None if p95_ms <= LIMIT_MS else f"missed: {p95_ms:.1f} ms is more than {LIMIT_MS:g} ms")


async def measure(folder: Path, jobs: int) -> float:
    """Measure this worker and the SDK, print their gaps, and return the p95 of this worker in milliseconds."""
    before = machine.load()
    gaps = await own_gaps(folder / "own", jobs)
    report("comfy-worker", gaps)
    if SDK_PYTHON.is_file():
        report("RunPod's SDK 1.11, a handler before comfy-worker", await sdk_gaps(folder / "sdk", min(jobs, SDK_JOBS)))
    else:
        print(f"RunPod's SDK was not measured: there is no {SDK_PYTHON}")
    print(f"load average {before} before, {machine.load()} after", flush=True)
    return percentile(gaps, 95)


async def own_gaps(folder: Path, jobs: int) -> list[float]:
    """Return the gaps in milliseconds of a worker that takes the jobs itself."""
    async with serve(assumptions=RunpodAssumptions()) as runpod, embedded_engine(folder) as engine:
        env = {"WORKER_PLATFORM": "runpod", **runpod.worker_environ("pod0")}
        async with worker(engine, folder, env=env):
            return await run_jobs(runpod, engine.url, jobs)


async def sdk_gaps(folder: Path, jobs: int) -> list[float]:
    """Return the gaps in milliseconds of RunPod's SDK, with a handler that sends each job to a worker."""
    async with (
        serve(assumptions=RunpodAssumptions()) as runpod,
        embedded_engine(folder) as engine,
        worker(engine, folder, env={"WORKER_PLATFORM": "none"}) as gateway,
    ):
        command = [str(SDK_PYTHON.absolute()), str(Path(__file__).with_name("sdk_handler.py")), gateway.url]
        env = {**runpod.worker_environ("pod0"), "HOME": str(folder), "RUNPOD_LOG_LEVEL": "ERROR"}
        async with running(command, folder / "sdk.log", env):
            return await run_jobs(runpod, engine.url, jobs)


async def run_jobs(runpod: LocalRunpod, engine_url: str, jobs: int) -> list[float]:
    """Queue all jobs at once, wait for their results, and return the gaps of the engine without those of the start."""
    rng = random.Random(1)  # the same jobs for both
    headers = {"Authorization": f"Bearer {runpod.api_key}"}
    async with aiohttp.ClientSession(headers=headers, raise_for_status=True) as http:
        ids = []
        for _ in range(jobs + WARM_UP):
            body = {"input": {"workflow": prompt(rng.uniform(SHORTEST_S, LONGEST_S))}}
            async with http.post(f"{runpod.endpoint_url}/run", json=body) as answer:
                ids.append((await answer.json())["id"])
        for job_id in ids:
            await wait_for(http, f"{runpod.endpoint_url}/status/{job_id}")
        async with http.get(f"{engine_url}/history", params={"max_items": jobs}) as answer:
            entries = (await answer.json()).values()
    times = sorted(start_and_end(entry["status"]["messages"]) for entry in entries)
    return [float(start - end) for (_, end), (start, _) in pairwise(times)]


async def wait_for(http: aiohttp.ClientSession, url: str) -> None:
    """Wait until a job has completed."""
    while True:
        async with http.get(url) as answer:
            state = (await answer.json())["status"]
        if state == "COMPLETED":
            return
        if state not in {"IN_QUEUE", "IN_PROGRESS"}:
            raise SystemExit(f"a job ended as {state}")
        await asyncio.sleep(0.2)


def start_and_end(messages: Sequence[tuple[str, dict[str, Any]]]) -> tuple[int, int]:
    """Return when a prompt started and when it ended, in milliseconds since 1970."""
    times = {event: data["timestamp"] for event, data in messages}
    return times["execution_start"], times["execution_success"]


def prompt(seconds: float) -> dict[str, object]:
    """Return a prompt that takes this long, different each time."""
    image = {"width": 64, "height": 64, "batch_size": 1, "color": next(_colors)}
    return {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "EmbeddedSleep", "inputs": {"image": ["1", 0], "seconds": seconds, "steps": 10}},
        "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "bench"}},
    }


def percentile(gaps: Sequence[float], share: int) -> float:
    """Return a percentile of the gaps."""
    return statistics.quantiles(gaps, n=100)[share - 1]


def report(name: str, gaps: Sequence[float]) -> None:
    """Print the gaps of one worker."""
    middle, high = statistics.median(gaps), percentile(gaps, 95)
    print(
        f"{name:50} gap p50 {middle:6.1f} ms   p95 {high:7.1f} ms   max {max(gaps):7.1f} ms   {len(gaps)} gaps",
        flush=True,
    )


if __name__ == "__main__":
    main()
