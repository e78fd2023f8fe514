"""`python -m bench.proxy`: what the proxy adds to a worker, with the worker itself as the peer in the same run."""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import aiohttp
import uvloop

from bench import machine
from bench.servers.processes import BenchEngine, embedded_engine, running, wait_until_ready, worker
from worker.engine.process.free_port import free_port

MOST_ADDED_MS, MOST_RATIO = 2.0, 1.10
"""The proxy may add this time to a job at the median, or the job may take this many times as long."""
LEAST_BURST_RATIO = 0.95
MOST_WAITING_MIB = 150
REQUESTS, SHORT_REQUESTS = 300, 60
ROUNDS, SHORT_ROUNDS = 15, 5
BURST = 25
WAITING = 500
WARM_UP = 20
"""Requests before the measurement."""
NO_LIMITS = {"WORKER_MAX_QUEUE": "1000", "WORKER_MAX_WAIT": "0"}
STATE = Path(".state")


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one run. Times are medians in milliseconds."""

    direct_ms: float
    proxy_ms: float
    direct_burst_ms: float
    proxy_burst_ms: float
    waiting_mib: float

    @property
    def rows(self) -> Iterator[tuple[str, str, str, bool]]:
        """The lines of the table: what, measured, target, and whether it is reached."""
        added, ratio = self.proxy_ms - self.direct_ms, self.proxy_ms / self.direct_ms
        burst = self.direct_burst_ms / self.proxy_burst_ms
        yield (
            f"a job at the median: worker {self.direct_ms:.1f} ms, through the proxy {self.proxy_ms:.1f} ms",
            f"+{added:.2f} ms, x {ratio:.2f}",
            f"at most +{MOST_ADDED_MS:g} ms or x {MOST_RATIO:g}",
            added <= MOST_ADDED_MS or ratio <= MOST_RATIO,
        )
        yield (
            f"{BURST} jobs at once: worker {self.direct_burst_ms:.0f} ms, proxy {self.proxy_burst_ms:.0f} ms",
            f"{burst:.2f} of the worker's rate",
            f"at least {LEAST_BURST_RATIO:g}",
            burst >= LEAST_BURST_RATIO,
        )
        yield (
            f"memory of the proxy with {WAITING} waiting jobs",
            f"{self.waiting_mib:.0f} MiB",
            f"at most {MOST_WAITING_MIB} MiB",
            self.waiting_mib <= MOST_WAITING_MIB,
        )


def main() -> None:
    """Measure, print the table, and exit with 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer requests")
    parser.add_argument("--comfyui", metavar="URL", help="a running ComfyUI in place of the embedded engine")
    options = parser.parse_args()
    STATE.mkdir(exist_ok=True)
    before = machine.load()
    with tempfile.TemporaryDirectory(prefix="bench-", dir=STATE) as folder:
        measured = uvloop.run(measure(Path(folder).resolve(), options.comfyui, short=options.short))
    print("| | measured | target |\n|---|---|---|")
    for what, value, target, _ in measured.rows:
        print(f"| {what} | {value} | {target} |")
    print(f"load average {before} before, {machine.load()} after")
    missed = [what for what, _, _, reached in measured.rows if not reached]
    sys.exit(f"missed: {'; '.join(missed)}" if missed else None)


async def measure(folder: Path, comfyui: str | None, *, short: bool) -> Measured:
    """Run a worker and a proxy in front of it, and send the same jobs to both in turns."""
    colors = count(1)
    times: dict[str, list[float]] = {"direct": [], "proxy": []}
    bursts: dict[str, list[float]] = {"direct": [], "proxy": []}
    async with (
        engine_at(folder, comfyui) as engine,
        worker(engine, folder, env=NO_LIMITS) as direct,
        proxy(folder, direct.url) as (url, pid),
        aiohttp.ClientSession() as http,
    ):
        urls = {"direct": direct.url, "proxy": url}
        for number in range((SHORT_REQUESTS if short else REQUESTS) + WARM_UP):
            for name in random.sample(list(urls), 2):
                took = await send(http, urls[name], prompt(next(colors)))
                times[name] += [took] if number >= WARM_UP else []
        for _ in range(SHORT_ROUNDS if short else ROUNDS):
            for name in random.sample(list(urls), 2):
                started = time.perf_counter()
                await asyncio.gather(*(send(http, urls[name], prompt(next(colors))) for _ in range(BURST)))
                bursts[name].append((time.perf_counter() - started) * 1000)
        waiting_mib = 0.0 if comfyui else await memory_while_waiting(http, url, pid)
    return Measured(
        direct_ms=statistics.median(times["direct"]),
        proxy_ms=statistics.median(times["proxy"]),
        direct_burst_ms=statistics.median(bursts["direct"]),
        proxy_burst_ms=statistics.median(bursts["proxy"]),
        waiting_mib=waiting_mib,
    )


@asynccontextmanager
async def engine_at(folder: Path, comfyui: str | None) -> AsyncIterator[BenchEngine]:
    """Yield the ComfyUI at a URL, or a new embedded engine."""
    if comfyui:
        yield BenchEngine(comfyui, None)
        return
    async with embedded_engine(folder) as engine:
        yield engine


@asynccontextmanager
async def proxy(folder: Path, backend: str) -> AsyncIterator[tuple[str, int]]:
    """Run a proxy in front of a worker, and yield its URL and its process id."""
    port = free_port()
    arguments = ["proxy", "--backend", backend, "--port", str(port), "--state", str(folder / "proxy")]
    async with running([sys.executable, "-m", "worker", *arguments], folder / "proxy.log") as started:
        url = f"http://127.0.0.1:{port}"
        await wait_until_ready(f"{url}/ready", started)
        yield url, started.process.pid


async def memory_while_waiting(http: aiohttp.ClientSession, url: str, pid: int) -> float:
    """Return the resident memory of the proxy in MiB while 500 clients wait for their results."""
    async with http.post(f"{url}/generate", json={"workflow": blocker()}) as answer:
        job = await answer.json()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as waiting:
        sent = [asyncio.create_task(send(waiting, url, prompt(number))) for number in range(1, WAITING + 1)]
        done, _ = await asyncio.wait(
            [*sent, asyncio.create_task(until_queued(http, url))], return_when="FIRST_COMPLETED"
        )
        done.pop().result()
        resident = resident_mib(pid)
        async with http.delete(f"{url}/jobs/{job['id']}", headers={"Authorization": f"Bearer {job['token']}"}):
            pass
        await asyncio.gather(*sent)
    return resident


async def until_queued(http: aiohttp.ClientSession, url: str) -> None:
    """Wait until the worker has all waiting jobs, which the proxy reports every few seconds."""
    async with asyncio.timeout(120):
        while True:
            async with http.get(f"{url}/capabilities") as answer:
                load = (await answer.json())["backends"][0]["load"]
            if load["queued"] >= WAITING:
                return
            await asyncio.sleep(0.5)


def resident_mib(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


async def send(http: aiohttp.ClientSession, url: str, workflow: dict[str, object]) -> float:
    """Run a job and return its time in ms."""
    started = time.perf_counter()
    async with http.post(f"{url}/generate/sync", json={"workflow": workflow}) as answer:
        await answer.read()
        answer.raise_for_status()
    return (time.perf_counter() - started) * 1000


def prompt(color: int) -> dict[str, object]:
    """Return a prompt with a small image, different for each color."""
    image = {"width": 64, "height": 64, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "bench"}},
    }


def blocker() -> dict[str, object]:
    """Return a prompt that runs until it is cancelled."""
    pause = {"class_type": "EmbeddedSleep", "inputs": {"image": ["1", 0], "seconds": 600, "steps": 6000}}
    save = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "bench"}}
    return prompt(0) | {"3": pause, "2": save}


if __name__ == "__main__":
    main()
