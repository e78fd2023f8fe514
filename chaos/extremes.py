"""Two jobs beyond all measure: ten thousand outputs, and one output of five gigabytes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from chaos.document import Chapter
from chaos.finding import RunFinding, at_least, fact, none
from chaos.gauge import MIB, rss_mib
from chaos.testbed.stage import OPERATOR, KeptStage, kept_stage
from chaos.watch import complaints
from worker.workflow.prompt import Prompt

TEXT = """\
`python -m chaos extremes`: one job with ten thousand outputs, whose answer has them as base64 and then as URLs, and one
with a sparse output of 5 GiB, which is fetched whole. The worker keeps the embedded engine. Peaks are the worker's
resident memory above what it had before."""
SETTINGS = {"WORKER_JOB_TIMEOUT": "1800", "WORKER_MIN_FREE_MIB": "64"}
BATCH = 4096
"""The most that `RepeatImageBatch` makes of one picture."""
GROWTH_MIB = 512
PEAK = "VmHWM"


@dataclass(frozen=True, slots=True)
class ExtremesPlan:
    jobs: int
    """Outputs of one job."""
    seed: int
    mebibytes: int


FULL = ExtremesPlan(jobs=10_000, seed=1, mebibytes=5 * 1024)
SHORT = ExtremesPlan(jobs=500, seed=1, mebibytes=64)


async def extremes(plan: ExtremesPlan, folder: Path) -> Chapter:
    started = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=None, sock_read=900)
    async with (
        kept_stage(folder, SETTINGS, 1) as scene,
        aiohttp.ClientSession(timeout=timeout, headers=OPERATOR) as http,
    ):
        findings = [
            *await _many(plan, scene, http, "base64"),
            *await _many(plan, scene, http, "url"),
            *await _large(plan, scene, http),
        ]
        findings += complaints(scene.logs)
    return Chapter("Extremes", TEXT, findings, facts=[("seconds", f"{time.monotonic() - started:.0f}")])


async def _many(plan: ExtremesPlan, scene: KeptStage, http: aiohttp.ClientSession, form: str) -> list[RunFinding]:
    before, began = rss_mib(scene.worker.child.pid), time.monotonic()
    body = {"workflow": _pictures(plan.jobs, seed=len(form)), "output_format": form}
    async with http.post(f"{scene.worker.url}/generate/sync", json=body) as response:
        answer: Mapping[str, Any] = orjson.loads(await response.read())
    names = {output["filename"] for output in answer.get("outputs", ())}
    what = f"{plan.jobs:,} outputs as {form}"
    return [
        at_least(f"{what}: delivered", len(names), plan.jobs),
        none(f"{what}: problems", len(problems := answer.get("problems", [])), problems),
        fact(f"{what}: seconds", f"{time.monotonic() - began:.1f}"),
        _within(f"{what}: memory, MiB", rss_mib(scene.worker.child.pid, PEAK) - before),
    ]


async def _large(plan: ExtremesPlan, scene: KeptStage, http: aiohttp.ClientSession) -> list[RunFinding]:
    before, began = rss_mib(scene.worker.child.pid), time.monotonic()
    body = {"workflow": _file(plan.mebibytes), "output_format": "url"}
    async with http.post(f"{scene.worker.url}/generate/sync", json=body) as response:
        answer: Mapping[str, Any] = orjson.loads(await response.read())
    size = 0
    async with http.get(answer["outputs"][0]["url"]) as file:
        async for chunk in file.content.iter_chunked(MIB):
            size += len(chunk)
    what = f"an output of {plan.mebibytes:,} MiB"
    return [
        at_least(f"{what}: fetched, MiB", size // MIB, plan.mebibytes),
        fact(f"{what}: seconds", f"{time.monotonic() - began:.1f}"),
        _within(f"{what}: memory, MiB", rss_mib(scene.worker.child.pid, PEAK) - before),
    ]


def _within(what: str, growth_mib: float) -> RunFinding:
    return RunFinding(what, f"{growth_mib:.0f}", f"<= {GROWTH_MIB}", met=growth_mib <= GROWTH_MIB)


def _pictures(count: int, seed: int) -> Prompt:
    prompt: Prompt = {"1": _empty(seed)}
    for number, start in enumerate(range(0, count, BATCH)):
        amount = min(BATCH, count - start)
        prompt[f"{number}r"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 0], "amount": amount}}
        saved = {"images": [f"{number}r", 0], "filename_prefix": f"many{seed}-{number}"}
        prompt[f"{number}s"] = {"class_type": "SaveImage", "inputs": saved}
    return prompt


def _file(mebibytes: int) -> Prompt:
    inputs = {"image": ["1", 0], "mebibytes": mebibytes, "filename_prefix": "large"}
    return {"1": _empty(0), "2": {"class_type": "EmbeddedBigFile", "inputs": inputs}}


def _empty(color: int) -> dict[str, Any]:
    return {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": color}}
