"""Two extreme jobs: one with ten thousand outputs, and one with an output of 5 GiB."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from chaos.finding import RunFinding, at_least, expect_none, fact
from chaos.log_checks import unhandled_exceptions
from chaos.reliability_page import Chapter
from chaos.resource_monitor import MIB, rss_mib
from chaos.testbed.worker_testbeds import OPERATOR, ManagedEngineTestbed, managed_engine_testbed
from worker.workflow.prompt import Prompt

TEXT = """\
`python -m chaos extremes` runs one job with ten thousand outputs, first with base64 in the response and then with
URLs, and one job with a sparse output of 5 GiB, which the client downloads completely. The worker manages the
embedded engine. The memory is the peak of the worker's resident memory minus what it had before the job."""
SETTINGS = {"WORKER_JOB_TIMEOUT": "1800", "WORKER_MIN_FREE_MIB": "64"}
BATCH = 4096
"""The most copies of an image that `RepeatImageBatch` makes."""
MAX_GROWTH_MIB = 512
PEAK_FIELD = "VmHWM"


@dataclass(frozen=True, slots=True)
class ExtremesPlan:
    """The size of the two jobs."""

    jobs: int
    """Outputs of the first job."""
    seed: int
    mebibytes: int
    """Size of the second job's output."""


FULL = ExtremesPlan(jobs=10_000, seed=1, mebibytes=5 * 1024)
SHORT = ExtremesPlan(jobs=500, seed=1, mebibytes=64)


async def extremes(plan: ExtremesPlan, folder: Path) -> Chapter:
    """Run the jobs and return the chapter."""
    started = time.monotonic()
    timeout = aiohttp.ClientTimeout(total=None, sock_read=900)
    async with (
        managed_engine_testbed(folder, SETTINGS, 1) as testbed,
        aiohttp.ClientSession(timeout=timeout, headers=OPERATOR) as http,
    ):
        findings = [
            *await _many_outputs(plan, testbed, http, "base64"),
            *await _many_outputs(plan, testbed, http, "url"),
            *await _large_output(plan, testbed, http),
        ]
        findings += unhandled_exceptions(testbed.logs)
    return Chapter("Extremes", TEXT, findings, facts=[("seconds", f"{time.monotonic() - started:.0f}")])


async def _many_outputs(
    plan: ExtremesPlan, testbed: ManagedEngineTestbed, http: aiohttp.ClientSession, output_format: str
) -> list[RunFinding]:
    """Run the job with many outputs and return its findings."""
    before, started = rss_mib(testbed.worker.child.pid), time.monotonic()
    body = {"workflow": _many_images(plan.jobs, seed=len(output_format)), "output_format": output_format}
    async with http.post(f"{testbed.worker.url}/generate/sync", json=body) as response:
        result: Mapping[str, Any] = orjson.loads(await response.read())
    names = {output["filename"] for output in result.get("outputs", ())}
    problems = result.get("problems", [])
    name = f"{plan.jobs:,} outputs as {output_format}"
    return [
        at_least(f"{name}: delivered", len(names), plan.jobs),
        expect_none(f"{name}: problems", len(problems), problems),
        fact(f"{name}: seconds", f"{time.monotonic() - started:.1f}"),
        _memory_finding(name, rss_mib(testbed.worker.child.pid, PEAK_FIELD) - before),
    ]


async def _large_output(
    plan: ExtremesPlan, testbed: ManagedEngineTestbed, http: aiohttp.ClientSession
) -> list[RunFinding]:
    """Run the job with a large output, download it, and return the findings."""
    before, started = rss_mib(testbed.worker.child.pid), time.monotonic()
    body = {"workflow": _large_file(plan.mebibytes), "output_format": "url"}
    async with http.post(f"{testbed.worker.url}/generate/sync", json=body) as response:
        result: Mapping[str, Any] = orjson.loads(await response.read())
    size = 0
    async with http.get(result["outputs"][0]["url"]) as download:
        async for chunk in download.content.iter_chunked(MIB):
            size += len(chunk)
    name = f"an output of {plan.mebibytes:,} MiB"
    return [
        at_least(f"{name}: downloaded, MiB", size // MIB, plan.mebibytes),
        fact(f"{name}: seconds", f"{time.monotonic() - started:.1f}"),
        _memory_finding(name, rss_mib(testbed.worker.child.pid, PEAK_FIELD) - before),
    ]


def _memory_finding(name: str, growth_mib: float) -> RunFinding:
    """Return a finding about the growth of the worker's memory."""
    met = growth_mib <= MAX_GROWTH_MIB
    return RunFinding(f"{name}: memory, MiB", f"{growth_mib:.0f}", f"<= {MAX_GROWTH_MIB}", met=met)


def _many_images(count: int, seed: int) -> Prompt:
    """Return a prompt that saves this number of images."""
    prompt: Prompt = {"1": _empty_image(seed)}
    for number, start in enumerate(range(0, count, BATCH)):
        amount = min(BATCH, count - start)
        prompt[f"{number}r"] = {"class_type": "RepeatImageBatch", "inputs": {"image": ["1", 0], "amount": amount}}
        save_inputs = {"images": [f"{number}r", 0], "filename_prefix": f"many{seed}-{number}"}
        prompt[f"{number}s"] = {"class_type": "SaveImage", "inputs": save_inputs}
    return prompt


def _large_file(mebibytes: int) -> Prompt:
    """Return a prompt that saves one file of this size."""
    inputs = {"image": ["1", 0], "mebibytes": mebibytes, "filename_prefix": "large"}
    return {"1": _empty_image(0), "2": {"class_type": "EmbeddedBigFile", "inputs": inputs}}


def _empty_image(color: int) -> dict[str, Any]:
    """Return a node that makes a small image of one color."""
    return {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": color}}
