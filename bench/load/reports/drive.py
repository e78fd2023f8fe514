"""Runs a mixed load through the local router, and records what the worker reports meanwhile."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.load.mixed.shapes import SHAPES, WAN, JobShape
from bench.load.mixed.trace import TraceWorld
from bench.load.reports.queue_time import SentJob
from bench.servers.direct import JobFailedError
from bench.servers.processes import BenchEngine, embedded_engine, running, wait_until_ready, worker_env
from worker.engine.process.free_port import free_port
from worker.load.workload import workload
from worker.simulators.vast_router import serve
from worker.simulators.vast_router.report_log import StatusReport

WORKER_ID = 1
START_S = 120.0
BURST, BURST_VIDEOS = 14, 3
"""Pictures and videos that are sent at once in the beginning."""
LATER = 24
"""Jobs that are sent one after the other, one each second, while the first ones run."""

PICTURES = tuple(shape for shape in SHAPES if not shape.is_video)
LONG_VIDEO = replace(next(shape for shape in SHAPES if shape.model == WAN), name="long video", frames=49, steps=20)


@dataclass(frozen=True, slots=True)
class Setup:
    """A worker to measure: the number of its GPUs and its environment."""

    gpus: int = 1
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ReportedRun:
    """What the worker reported, and the jobs that the client had sent."""

    reports: list[StatusReport] = field(default_factory=list)
    jobs: list[SentJob] = field(default_factory=list)


async def drive(setup: Setup, seed: int, folder: Path) -> ReportedRun:
    """Run pictures and long videos on a worker that has already run each shape, and return what it reported."""
    run = ReportedRun()
    choices = random.Random(f"arrivals {seed}")
    async with _vast_worker(setup, seed, folder) as (vast, endpoint):
        numbers = iter(range(1, 1_000_000))

        async def send(shape: JobShape) -> None:
            prompt = shape.prompt(next(numbers))
            sent_at = time.time()
            units = workload(prompt)
            answer = await endpoint.request("/generate/sync", {"workflow": prompt}, cost=max(1, round(units)))
            if not answer["ok"]:
                raise JobFailedError(str(answer)[:300])
            metadata = answer["response"]["metadata"]
            gpu = metadata["gpu_used"].removesuffix(" (embedded engine)")
            run.jobs.append(SentJob(gpu, sent_at, time.time(), units, metadata["generation_time"]))

        for _ in range(2):  # each engine gets to know the shapes
            await asyncio.gather(*(send(shape) for shape in (*PICTURES, LONG_VIDEO) for _ in range(setup.gpus)))
        run.jobs.clear()
        vast.record.clear()
        first = [*choices.choices(PICTURES, k=BURST * setup.gpus), *[LONG_VIDEO] * (BURST_VIDEOS * setup.gpus)]
        choices.shuffle(first)
        async with asyncio.TaskGroup() as tasks:
            for shape in first:
                tasks.create_task(send(shape))
            for _ in range(LATER):
                await asyncio.sleep(1)
                for _ in range(setup.gpus):
                    tasks.create_task(send(LONG_VIDEO if choices.random() < 0.06 else choices.choice(PICTURES)))
        run.reports = vast.record.reports_of(WORKER_ID)
    return run


@asynccontextmanager
async def _vast_worker(setup: Setup, seed: int, folder: Path) -> AsyncIterator[tuple[Any, Any]]:
    """Run a worker behind the local router, and yield the router and Vast's client of the endpoint."""
    settings = TraceWorld(seed, folder / "world", setup.gpus).write()
    async with serve() as vast, _engine(setup, settings, folder) as engine:
        port = free_port()
        env = worker_env(engine, folder / "worker", port) | await vast.worker_env(WORKER_ID)
        env |= ({} if engine.folder else settings) | dict(setup.env)
        command = [sys.executable, "-P", "-m", "worker", "serve", "--platform", "vast"]
        async with running(command, folder / "worker.log", env) as started:
            await wait_until_ready(f"http://127.0.0.1:{port}/ready", started)
            await vast.record.until(lambda record: _is_measured(record.reports_of(WORKER_ID)), START_S)
            async with vast.client() as client:
                yield vast, await client.get_endpoint(vast.endpoint)


@asynccontextmanager
async def _engine(setup: Setup, settings: Mapping[str, str], folder: Path) -> AsyncIterator[BenchEngine]:
    """Yield the engine of a worker with one GPU, or a name for the engines that a worker starts itself.

    One engine is started here, so that another release can use it.
    """
    if setup.gpus > 1:
        yield BenchEngine("embedded", None)
        return
    async with embedded_engine(folder, *settings["WORKER_COMFYUI_ARGS"].split()) as engine:
        yield engine


def _is_measured(reports: Sequence[StatusReport]) -> bool:
    """Return whether the worker has reported its speed."""
    return any(report.max_perf > 0 for report in reports)
