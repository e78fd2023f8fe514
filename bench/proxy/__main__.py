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
JOB_S = 0.05
"""Seconds that each job of the second burst takes on the engine, far less than a job on a GPU."""
LONG_ROUNDS = 5
WAITING = 500
WARM_UP = 20
"""Requests before the measurement."""
NO_LIMITS = {"WORKER_MAX_QUEUE": "1000", "WORKER_MAX_WAIT": "0"}
STATE = Path(".state")

Workflow = dict[str, object]


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one run. Times are medians in milliseconds."""

    direct_ms: float
    proxy_ms: float
    direct_burst_ms: float
    proxy_burst_ms: float
    direct_long_ms: float
    proxy_long_ms: float
    waiting_mib: float

    @property
    def rows(self) -> Iterator[tuple[str, str, str, bool]]:
        """The lines of the table: what, measured, target, and whether it is reached."""
        added, ratio = self.proxy_ms - self.direct_ms, self.proxy_ms / self.direct_ms
        yield (
            f"a job at the median: worker {self.direct_ms:.1f} ms, through the proxy {self.proxy_ms:.1f} ms",
            f"+{added:.2f} ms, x {ratio:.2f}",
            f"at most +{MOST_ADDED_MS:g} ms or x {MOST_RATIO:g}",
            added <= MOST_ADDED_MS or ratio <= MOST_RATIO,
        )
        yield burst_row("jobs", self.direct_burst_ms, self.proxy_burst_ms)
        if self.direct_long_ms:
            yield burst_row(f"jobs of {JOB_S * 1000:.0f} ms", self.direct_long_ms, self.proxy_long_ms)
        yield (
            f"memory of the proxy with {WAITING} waiting jobs",
            f"{self.waiting_mib:.0f} MiB",
            f"at most {MOST_WAITING_MIB} MiB",
            self.waiting_mib <= MOST_WAITING_MIB,
        )


def burst_row(jobs: str, direct_ms: float, proxy_ms: float) -> tuple[str, str, str, bool]:
    """Return the line of a burst, which compares the rates."""
    rate = direct_ms / proxy_ms
    return (
        f"{BURST} {jobs} at once: worker {direct_ms:.0f} ms, proxy {proxy_ms:.0f} ms",
        f"{rate:.2f} of the worker's rate",
        f"at least {LEAST_BURST_RATIO:g}",
        rate >= LEAST_BURST_RATIO,
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
    prompts, long = map(prompt, count(1)), map(long_prompt, count(1))
    async with (
        engine_at(folder, comfyui) as engine,
        worker(engine, folder, env=NO_LIMITS) as direct,
        proxy(folder, direct.url) as (url, pid),
        aiohttp.ClientSession() as http,
    ):
        urls = (direct.url, url)
        await burst_ms(http, urls, prompts, jobs=1, rounds=WARM_UP)
        single = await burst_ms(http, urls, prompts, jobs=1, rounds=SHORT_REQUESTS if short else REQUESTS)
        burst = await burst_ms(http, urls, prompts, jobs=BURST, rounds=SHORT_ROUNDS if short else ROUNDS)
        if comfyui:  # it has no node that takes a given time
            return Measured(*single, *burst, 0.0, 0.0, 0.0)
        of_long_jobs = await burst_ms(http, urls, long, jobs=BURST, rounds=LONG_ROUNDS)
        waiting_mib = await memory_while_waiting(http, url, pid)
    return Measured(*single, *burst, *of_long_jobs, waiting_mib)


async def burst_ms(
    http: aiohttp.ClientSession, urls: tuple[str, str], prompts: Iterator[Workflow], *, jobs: int, rounds: int
) -> tuple[float, float]:
    """Send some jobs at once to both URLs in turns. Return the median time of each until all have ended, in ms."""
    times: dict[str, list[float]] = {url: [] for url in urls}
    for _ in range(rounds):
        for url in random.sample(urls, 2):
            started = time.perf_counter()
            await asyncio.gather(*(send(http, url, next(prompts)) for _ in range(jobs)))
            times[url].append((time.perf_counter() - started) * 1000)
    return statistics.median(times[urls[0]]), statistics.median(times[urls[1]])


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
    async with http.post(f"{url}/generate", json={"workflow": long_prompt(0, 600, 6000)}) as answer:
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


async def send(http: aiohttp.ClientSession, url: str, workflow: Workflow) -> None:
    """Run a job, and read its result."""
    async with http.post(f"{url}/generate/sync", json={"workflow": workflow}) as answer:
        await answer.read()
        answer.raise_for_status()


def prompt(color: int) -> Workflow:
    """Return a prompt with a small image, different for each color."""
    image = {"width": 64, "height": 64, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "bench"}},
    }


def long_prompt(color: int, seconds: float = JOB_S, steps: int = 1) -> Workflow:
    """Return a prompt that takes a time on the embedded engine."""
    pause = {"class_type": "EmbeddedSleep", "inputs": {"image": ["1", 0], "seconds": seconds, "steps": steps}}
    save = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "bench"}}
    return prompt(color) | {"3": pause, "2": save}


if __name__ == "__main__":
    main()
