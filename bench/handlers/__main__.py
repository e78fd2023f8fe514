"""`python -m bench.handlers`: what a call of a handler adds to `/generate/sync` with the same prompt."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import aiohttp
import uvloop

from bench import machine
from bench.servers.processes import embedded_engine, worker

LIMIT_MS = 3.0
REQUESTS, SHORT_REQUESTS = 300, 60
WARM_UP = 20
"""Requests of each kind before the measurement."""
HANDLERS = """
from utils.comfyui import execute_workflow, process_image_result


def run(workflow):
    return process_image_result(execute_workflow(workflow))


def nothing():
    return {}
"""
STATE = Path(".state")


def main() -> None:
    """Measure, print the rows, and exit with 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer requests")
    options = parser.parse_args()
    STATE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=STATE) as folder:
        added_ms = uvloop.run(measure(Path(folder).resolve(), SHORT_REQUESTS if options.short else REQUESTS))
    sys.exit(None if added_ms <= LIMIT_MS else f"missed: {added_ms:.2f} ms is more than {LIMIT_MS:g} ms")


async def measure(folder: Path, requests: int) -> float:
    """Send requests of both kinds in turns, print their times, and return the difference of the medians in ms."""
    app = folder / "app"
    (app / "handlers").mkdir(parents=True)
    (app / "handlers" / "bench.py").write_text(HANDLERS)
    env = {"WORKER_HANDLERS": str(app), "WORKER_HANDLERS_PORT": "0"}
    colors, before = count(1), machine.load()
    times: dict[str, list[float]] = {"/generate/sync": [], "/handlers/run": [], "/handlers/nothing": []}
    async with (
        embedded_engine(folder) as engine,
        worker(engine, folder, env=env) as measured,
        aiohttp.ClientSession(measured.url) as http,
    ):
        for number in range(requests + WARM_UP):
            for path, values in times.items():
                body = {} if path.endswith("nothing") else {"workflow": prompt(next(colors))}
                started = time.perf_counter()
                async with http.post(path, json=body) as answer:
                    await answer.read()
                    answer.raise_for_status()
                if number >= WARM_UP:
                    values.append((time.perf_counter() - started) * 1000)
    for path, values in times.items():
        p90 = statistics.quantiles(values, n=10)[8]
        print(f"{path:20} p50 {statistics.median(values):6.2f} ms   p90 {p90:6.2f} ms", flush=True)
    added_ms = statistics.median(times["/handlers/run"]) - statistics.median(times["/generate/sync"])
    print(f"a call adds {added_ms:.2f} ms at the median (target: {LIMIT_MS:g} ms); {requests} requests of each kind")
    print(f"load average {before} before, {machine.load()} after", flush=True)
    return added_ms


def prompt(color: int) -> dict[str, object]:
    """Return a prompt with a small image, different each time."""
    image = {"width": 64, "height": 64, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "bench"}},
    }


if __name__ == "__main__":
    main()
