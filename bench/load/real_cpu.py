"""Predictions in front of a real ComfyUI on the CPU, with random weights: sizes, steps, samplers and passes vary."""

from __future__ import annotations

import random
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from bench.load.accuracy import Outcome, floor
from bench.load.mixed.shapes import JobShape
from bench.load.part import LoadRow, PartResult
from bench.load.plots import Axis, Plot, Series, padded_range
from bench.servers import served
from bench.servers.direct import JobFailedError
from bench.servers.processes import BenchEngine, worker

WHAT = "a real ComfyUI on the CPU, after 20 jobs, median error"
START_S = 300.0
LEARNED = 20
"""Jobs before the measurement."""
AT_MOST, OVER_FLOOR = 0.12, 1.5
TARGET = "<= 12 %, or 1.5 x the floor"
SMALL, FULL = "random_sd15_small.safetensors", "random_sd15.safetensors"
REPEATED = JobShape("repeated", SMALL, 128, 128, 4, 7.0)
"""The job that is repeated between the others. Its spread is the smallest error that was possible."""
REPEAT_EVERY = 3


@dataclass(frozen=True, slots=True)
class CpuJob:
    """One job: its shape, the seconds that it took, and what was predicted."""

    shape: JobShape
    outcome: Outcome


async def measure(comfyui: Path, models: Path | None, seed: int, jobs: int, folder: Path) -> PartResult:
    """Run jobs on a worker that starts this ComfyUI, and compare their times with the predictions."""
    env = {"WORKER_COMFYUI_ARGS": "--cpu", "WORKER_ENGINE_START": f"{START_S:g}", "HF_HUB_OFFLINE": "1"}
    env |= {"WORKER_MODELS_FOLDER": str(models)} if models else {}
    choices = random.Random(f"real {seed}")
    ran: list[CpuJob] = []
    async with (
        worker(BenchEngine(str(comfyui), None), folder / "real", env=env, start_s=START_S) as running,
        served.open_session() as session,
    ):
        for number in range(LEARNED + jobs):
            shape = REPEATED if number % REPEAT_EVERY == 0 else _random_shape(choices)
            ran.append(CpuJob(shape, await _run(session, running.url, shape, number)))
    return _result(ran)


def _random_shape(choices: random.Random) -> JobShape:
    """Return a random shape. Most jobs use the small model, because a CPU is slow."""
    shape = replace(
        REPEATED,
        name="random",
        model=FULL if choices.random() < 0.15 else SMALL,
        width=64 * choices.randint(1, 3),
        height=64 * choices.randint(1, 3),
        steps=choices.randint(1, 8),
        cfg=choices.choice((1.0, 7.0)),
        sampler=choices.choice(("euler", "dpmpp_2m", "heun", "dpmpp_sde")),
        batch=choices.choice((1, 1, 1, 2)),
        second_pass=choices.choice((0, 0, 0, 2)),
    )
    return replace(shape, width=128, height=128, steps=min(shape.steps, 3)) if shape.model == FULL else shape


async def _run(session: aiohttp.ClientSession, url: str, shape: JobShape, number: int) -> Outcome:
    """Run one job. Raises JobFailedError."""
    body = orjson.dumps({"workflow": shape.prompt(number + 1), "output_format": "url"})
    async with session.post(f"{url}/generate/sync", data=body) as answer:
        text = await answer.read()
    if answer.status != 200:
        raise JobFailedError(f"{answer.status}: {text[:500]!r}")
    metadata: Mapping[str, Any] = orjson.loads(text)["metadata"]
    predicted = metadata["predicted_s"]
    return Outcome(shape.name, metadata["generation_time"], predicted)


def _result(ran: list[CpuJob]) -> PartResult:
    """Return the row and the plot of a run."""
    measured = ran[LEARNED:]
    errors = [job.outcome.error for job in measured if job.shape is not REPEATED]
    best = floor([job.outcome for job in measured if job.shape is REPEATED]).median
    error, limit = statistics.median(errors), max(AT_MOST, OVER_FLOOR * best)
    row = LoadRow(
        WHAT,
        f"{error:.1%} of {len(errors)} jobs; floor {best:.1%}",
        target=TARGET,
        met=error <= limit,
    )
    return PartResult([row], plots={"load-real-cpu.svg": _plot(ran).svg()})


def _plot(ran: list[CpuJob]) -> Plot:
    """Return the plot of predicted and measured seconds."""
    points = [(job.outcome.seconds, max(job.outcome.p50_s, 1e-3)) for job in ran]
    low, high = padded_range([value for point in points for value in point])
    return Plot(
        "A real ComfyUI on the CPU",
        Axis("measured, seconds", low, high, is_log=True),
        Axis("predicted, seconds", low, high, is_log=True),
        [
            Series(f"after {LEARNED} jobs", points[LEARNED:], "blue"),
            Series(f"the first {LEARNED} jobs", points[:LEARNED], "orange"),
        ],
        notes=[[(low, low), (high, high)]],
    )
