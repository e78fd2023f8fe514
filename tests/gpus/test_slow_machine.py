"""A worker on a slow machine, as a process: its embedded engine is slowed, and priors say how fast it should be."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from itertools import count
from pathlib import Path

import aiohttp
import pytest

from tests.cli.commands.test_serve import serving
from tests.gpus.nvml import GPU, FakeNvml, compile_fake
from tests.workflows import Workflow, sampling
from worker.gpus.machine_health import retirement_delay
from worker.gpus.machine_monitor import RECORD
from worker.jobs.learned_load import write_state
from worker.load.gpu_classes import gpu_class
from worker.load.learning.estimator import Estimator, NodeRun
from worker.load.learning.pooling import pool
from worker.load.work import job_work

pytestmark = pytest.mark.tools("cc")

SAMPLERS = 6
"""Samplers of one job, which are nodes that show the speed of the GPU."""
USUAL_S = 0.03
"""Seconds that a node needs on other machines, as the priors say."""
SLOW = "slow;seconds=0.1"
"""The fault of the engine, with which each node takes more than three times as long."""
UUID = min((f"GPU-{number}" for number in range(200)), key=lambda uuid: retirement_delay([uuid], 1.0) or 1e9)
"""A GPU that may be retired, and that has to be slow only for a short time."""

_texts = count(1)


def job() -> Workflow:
    """Return a workflow with several samplers in a row, of which none has run before."""
    workflow = sampling()
    workflow["12"]["inputs"]["text"] = f"picture {next(_texts)}"
    last = "13"
    for number in range(1, SAMPLERS):
        inputs = {**workflow["13"]["inputs"], "latent_image": [last, 0]}
        last = f"13{number}"
        workflow[last] = {"class_type": "KSampler", "inputs": inputs}
    workflow["14"]["inputs"]["samples"] = [last, 0]
    return workflow


def write_priors(path: Path) -> None:
    """Write what another machine with the embedded engine would have learned, at its usual speed."""
    estimator = Estimator({"engine-0": gpu_class("embedded engine (no GPU)")})
    for _ in range(10):
        work = job_work(job())
        for node in work.nodes:
            estimator.learn("engine-0", NodeRun(node, USUAL_S))
        estimator.job_ended("engine-0", work)
    # Loading such small files would take as long as the difference that is to be seen.
    write_state(path, replace(pool([estimator.saved()]), tiers={}))


@pytest.fixture(scope="module")
def nvml(tmp_path_factory: pytest.TempPathFactory) -> FakeNvml:
    fake = compile_fake(tmp_path_factory.mktemp("nvml"))
    fake.set({**GPU, "uuid": UUID})
    return fake


async def until_idle(http: aiohttp.ClientSession, url: str) -> None:
    """Wait until the catalog is known, because reading it holds up the messages by which nodes are timed."""
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{url}/capabilities") as response:
                if response.status == 200:
                    return
            await asyncio.sleep(0.1)


async def run_job(http: aiohttp.ClientSession, url: str) -> int:
    async with http.post(f"{url}/generate/sync", json={"workflow": job()}) as response:
        return response.status


async def slow_engines(http: aiohttp.ClientSession, url: str) -> list[str]:
    """Run jobs until an engine is found to be slow, and return the names of slow engines in /health."""
    await until_idle(http, url)
    while True:
        assert await run_job(http, url) == 200
        async with http.get(f"{url}/health") as response:
            assert response.status == 200
            body = await response.json()
        if "slow_engines" in body:
            return list(body["slow_engines"])


async def test_a_slow_machine_is_noticed(nvml: FakeNvml, tmp_path: Path) -> None:
    """The slow engine is in /health, in the metrics and in the log, and the worker goes on."""
    write_priors(tmp_path / "priors.json")
    variables = {"WORKER_FAULT": SLOW, "WORKER_LOAD_PRIORS": str(tmp_path / "priors.json"), "WORKER_SLOW_AFTER": "0"}
    async with (
        serving(cwd=tmp_path, **variables, **nvml.variables) as (process, said),
        aiohttp.ClientSession() as http,
    ):
        url = said.split()[-1]
        assert await slow_engines(http, url) == ["engine-0"]
        async with http.get(f"{url}/metrics") as response:
            ratio = re.search(r"machine_slowdown_ratio\{engine=\"engine-0\"\} (\S+)", await response.text())
        assert ratio
        assert float(ratio[1]) > 1.5
        process.terminate()
        _, log = await process.communicate()
    lines = re.findall(r"engine-0 needs [\d.]+ times as long as is known for its GPU model.*", log.decode())
    assert len(lines) == 1
    assert GPU["name"] in lines[0]


def too_slow(nvml: FakeNvml, folder: Path) -> dict[str, str]:
    """Return the variables of a worker that is retired after a few jobs."""
    write_priors(folder / "priors.json")
    return {
        "WORKER_FAULT": SLOW,
        "WORKER_LOAD_PRIORS": str(folder / "priors.json"),
        "WORKER_SLOW_AFTER": "0.1",
        "WORKER_MIN_PERF": "0.5",
        **nvml.variables,
    }


async def test_a_machine_that_is_too_slow_is_retired(nvml: FakeNvml, tmp_path: Path) -> None:
    """The worker finishes its jobs, records the reason in its state folder, and ends with it."""
    async with (
        aiohttp.ClientSession() as http,
        serving(cwd=tmp_path, **too_slow(nvml, tmp_path)) as (process, said),
    ):
        await until_idle(http, said.split()[-1])
        statuses: list[int] = []
        while not statuses or statuses[-1] == 200:
            try:
                statuses.append(await run_job(http, said.split()[-1]))
            except aiohttp.ClientConnectionError:  # the worker has ended
                break
        async with asyncio.timeout(60):
            _, log = await process.communicate()
    assert process.returncode == 1
    assert statuses.count(200) >= 2
    assert "of the speed that is known for its GPU model, and WORKER_MIN_PERF is 0.5" in log.decode()
    assert "WORKER_MIN_PERF" in json.loads((tmp_path / ".state" / RECORD).read_text("utf-8"))["reason"]


async def test_a_machine_that_was_retired_serves_after_a_restart(nvml: FakeNvml, tmp_path: Path) -> None:
    """A worker whose state folder has the record goes on, however slow it is."""
    (tmp_path / ".state").mkdir()
    (tmp_path / ".state" / RECORD).write_text("{}")
    async with (
        aiohttp.ClientSession() as http,
        serving(cwd=tmp_path, **too_slow(nvml, tmp_path)) as (process, said),
    ):
        assert await slow_engines(http, said.split()[-1]) == ["engine-0"]
        for _ in range(2):
            assert await run_job(http, said.split()[-1]) == 200
        assert process.returncode is None
