"""Runs the mixed trace: jobs of random shapes on a worker with one embedded engine for each GPU of a world."""

from __future__ import annotations

import asyncio
import random
import re
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from bench.load.accuracy import Outcome
from bench.load.mixed import world
from bench.load.mixed.shapes import CONTROLNET, MODELS, SHAPES, JobShape
from bench.servers import served
from bench.servers.direct import JobFailedError
from bench.servers.processes import BenchEngine, BenchWorker, worker

IN_FLIGHT = 8
"""Jobs that the client keeps in the worker, so that each engine always has the next one."""
GIB = 1024**3

_PREDICTED = re.compile(r"job (\S+) ran .* p90 ([\d.]+) s$", re.MULTILINE)
"""A line of the worker's log."""
_TIMINGS = """\
import os, runpy
from pathlib import Path

world = runpy.run_path({world!r})
DEVICE = list(world["GPUS"])[int(os.environ.get("CUDA_VISIBLE_DEVICES") or 0)]
seconds = world["Machine"]({seed}, DEVICE, Path({throttle!r}) if DEVICE == {throttled!r} else None).seconds
"""


@dataclass(frozen=True, slots=True)
class TracedJob:
    """One job of the trace, in the order in which they ended."""

    id: str
    shape: str
    gpu: str
    throttled: bool
    """Whether it ran on the throttled engine after the step."""
    nth: int
    """How many jobs of its shape had ended, this one included."""
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class TraceWorld:
    """A world in a folder: the timings file of its engines, and the file that throttles one of them."""

    seed: int
    folder: Path
    gpus: int = len(world.GPUS)

    @property
    def throttled(self) -> str:
        """Name of the GPU that is throttled half way."""
        return list(world.GPUS)[self.seed % self.gpus]

    @property
    def throttle(self) -> Path:
        """File whose existence throttles the GPU."""
        return self.folder / "throttle"

    def write(self) -> dict[str, str]:
        """Write the files that the engines read, and return the worker's settings for them.

        The model files are sparse, with the sizes of the world, so that the worker can see how much there is to load.
        """
        self.folder.mkdir(parents=True)
        source = Path(shutil.copy(world.__file__, self.folder))
        text = _TIMINGS.format(world=str(source), seed=self.seed, throttle=str(self.throttle), throttled=self.throttled)
        timings = self.folder / "timings.py"
        timings.write_text(text, "utf-8")
        _write_models(self.folder / "models")
        return {
            "WORKER_GPUS": str(self.gpus),
            "WORKER_COMFYUI_ARGS": f"--timings {timings} --cache every-prompt",
            "WORKER_MODELS_FOLDER": str(self.folder / "models"),
            "WORKER_LOG_LEVEL": "debug",
            "WORKER_SANDBOX_READ": str(self.folder),
        }


def _write_models(folder: Path) -> None:
    """Write sparse model files with a valid header."""
    sizes = {f"checkpoints/{name}": world.FAMILIES[world.family_of(name)].gib for name in MODELS}
    for name, gib in {**sizes, f"controlnet/{CONTROLNET}": world.CONTROLNET_GIB}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        size = int(gib * GIB)
        header = orjson.dumps({"weight": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}})
        with path.open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header)
            file.truncate(8 + len(header) + size)


@asynccontextmanager
async def running_worker(trace_world: TraceWorld, folder: Path) -> AsyncIterator[BenchWorker]:
    """Run a worker with the engines of a world until the context ends."""
    async with worker(BenchEngine("embedded", None), folder / "worker", env=trace_world.write()) as running:
        yield running


async def run_trace(seed: int, jobs: int, folder: Path) -> list[TracedJob]:
    """Run the trace of a seed and return its jobs in the order in which they ended. Half way one GPU is throttled."""
    trace_world = TraceWorld(seed, folder / "world")
    choices = random.Random(f"jobs {seed}")
    shapes = iter([choices.choice(SHAPES) for _ in range(jobs)])
    async with running_worker(trace_world, folder) as running, served.open_session() as session:
        client = _TraceClient(trace_world, session, running.url, jobs)
        await asyncio.gather(*(client.run_jobs(shapes) for _ in range(IN_FLIGHT)))
    return with_p90(client.ended, (folder / "worker" / "worker.log").read_text("utf-8"))


def with_p90(jobs: Sequence[TracedJob], log: str) -> list[TracedJob]:
    """Return the jobs with the p90 that the worker has logged for each run. Raises KeyError when one is missing."""
    p90_by_id = {job_id: float(p90_s) for job_id, p90_s in _PREDICTED.findall(log)}
    return [replace(job, outcome=replace(job.outcome, p90_s=p90_by_id[job.id])) for job in jobs]


class _TraceClient:
    """Runs jobs and records their outcomes."""

    def __init__(self, trace_world: TraceWorld, session: aiohttp.ClientSession, url: str, jobs: int) -> None:
        self.ended: list[TracedJob] = []
        self._world = trace_world
        self._session = session
        self._url = f"{url}/generate/sync"
        self._jobs = jobs
        self._started = 0
        self._ended_by_shape: dict[str, int] = {}

    async def run_jobs(self, shapes: Iterator[JobShape]) -> None:
        """Run one job after the other until there is none left."""
        for shape in shapes:
            self._started += 1
            if self._started == self._jobs // 2:
                self._world.throttle.touch()
            self._record(shape.name, await self._run(shape.prompt(self._started)))

    async def _run(self, prompt: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run one job and return the answer. Raises JobFailedError."""
        body = orjson.dumps({"workflow": prompt, "output_format": "url"})
        async with self._session.post(self._url, data=body) as answer:
            text = await answer.read()
        if answer.status != 200:
            raise JobFailedError(f"{answer.status}: {text[:500]!r}")
        result: Mapping[str, Any] = orjson.loads(text)
        return result

    def _record(self, shape: str, answer: Mapping[str, Any]) -> None:
        """Record a job that has ended. Its p90 is in the worker's log."""
        metadata = answer["metadata"]
        gpu = metadata["gpu_used"].removesuffix(" (embedded engine)")
        throttled = gpu == self._world.throttled and self._world.throttle.exists()
        nth = self._ended_by_shape[shape] = self._ended_by_shape.get(shape, 0) + 1
        outcome = Outcome((shape, gpu, throttled), metadata["generation_time"], metadata["predicted_s"])
        self.ended.append(TracedJob(answer["id"], shape, gpu, throttled, nth, outcome))
