"""The reported load in seconds: the quotient that a router reads, against the time that the jobs really take."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.engines import start_engine
from tests.platforms.conftest import loaded, processes, start_worker
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast, ReportLog, StatusReport

pytestmark = pytest.mark.asyncio(loop_scope="module")

TIMINGS = """
def seconds(node):
    if node.steps:
        return node.steps * (0.08 if "wan" in node.model else 0.02)
    return 0.01
"""
"""Seconds of nodes: a video takes four times as long as a picture with the same steps, whatever their units are."""
Workflow = dict[str, dict[str, Any]]


def sampling(steps: int, seed: int, model: str = "v1-5-pruned.safetensors", length: int = 0) -> Workflow:
    """Return a workflow that samples a picture, or a video of `length` frames."""
    size = {"width": 256, "height": 256, "batch_size": 1}
    latent = "EmptyHunyuanLatentVideo" if length else "EmptyLatentImage"
    inputs = {"seed": seed, "steps": steps, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    return {
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": model}},
        "2": {"class_type": latent, "inputs": {**size, "length": length} if length else size},
        "3": {"class_type": "CLIPTextEncode", "inputs": {"text": f"{seed}", "clip": ["1", 1]}},
        "4": {
            "class_type": "KSampler",
            "inputs": {
                **inputs,
                "model": ["1", 0],
                "positive": ["3", 0],
                "negative": ["3", 0],
                "latent_image": ["2", 0],
            },
        },
        "5": {"class_type": "VAEDecode", "inputs": {"samples": ["4", 0], "vae": ["1", 2]}},
        "6": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "sampled"}},
    }


def video(steps: int, seed: int) -> Workflow:
    return sampling(steps, seed, "wan2.1_t2v_1.3B.safetensors", length=9)


async def send(vast: LocalVast, workflow: Workflow) -> float:
    """Send a workflow, and return when its response arrived."""
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        answer = await endpoint.request("/generate/sync", {"workflow": workflow}, timeout=60, retry=False)
        end = time.time()
    assert answer["response"]["status"] == "success", answer
    return end


@asynccontextmanager
async def worker(folder: Path, number: int, **env: str) -> AsyncIterator[LocalVast]:
    """Run a router and a worker on an engine with TIMINGS, whose benchmark is a picture."""
    timings, benchmark = folder / "timings.py", folder / "picture.json"
    timings.write_text(TIMINGS)
    benchmark.write_text(json.dumps(sampling(20, 0)))
    async with AsyncExitStack() as stack:
        engine = stack.enter_context(start_engine(folder / "engine", "--speed", "1", "--timings", str(timings)))
        vast = await stack.enter_async_context(vast_router.serve())
        spawn = await stack.enter_async_context(processes(folder))
        env = {"WORKER_BENCHMARK": str(benchmark), **env}
        await start_worker(spawn, vast, engine, number, folder / "state", **env)
        await vast.record.until(loaded(number))
        yield vast


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalVast]:
    async with worker(tmp_path_factory.mktemp("seconds"), 1) as vast:
        yield vast


@pytest_asyncio.fixture(loop_scope="module")
async def vast(running: LocalVast) -> LocalVast:
    """A router without reports and an idle worker."""
    await running.record.until(idle)
    running.record.clear()
    return running


def idle(record: ReportLog) -> bool:
    return bool(record.statuses) and record.statuses[-1].cur_load == 0 and not record.statuses[-1].working_request_idxs


def in_work(count: int) -> Callable[[ReportLog], bool]:
    return lambda record: any(len(report.working_request_idxs) == count for report in record.statuses)


def assert_seconds(report: StatusReport, end: float) -> None:
    """Check that the seconds to do in a report are those until `end`, on a machine that may be busy."""
    true_s = end - report.at
    assert report.seconds_to_do == pytest.approx(true_s, rel=0.4, abs=1.0)


async def test_the_load_falls_while_a_job_runs(vast: LocalVast) -> None:
    """While a job runs, several reports follow each other without any event, with the seconds that are left."""
    end = await send(vast, sampling(250, 1))
    await vast.record.until(idle)
    reports = [report for report in vast.record.statuses if report.working_request_idxs and report.at < end]
    assert len(reports) >= 3
    for report in reports[1:]:
        assert_seconds(report, end)
    assert reports[-1].cur_load < reports[1].cur_load


async def test_the_quotient_is_time_whatever_the_mix(vast: LocalVast) -> None:
    """With a video before two pictures, the quotient is the time until all of them are done."""
    for seed in range(20, 23):  # teaches how long both take, and that neither loads its model again
        await send(vast, video(6, seed))
        await send(vast, sampling(10, seed))
    await vast.record.until(idle)
    vast.record.clear()
    requests = [asyncio.create_task(send(vast, video(60, 4)))]
    await vast.record.until(in_work(1))
    requests += [asyncio.create_task(send(vast, sampling(40, seed))) for seed in (3, 5)]
    await vast.record.until(in_work(3))
    report = next(report for report in vast.record.statuses if len(report.working_request_idxs) == 3)
    ends = await asyncio.gather(*requests)
    assert_seconds(report, max(ends))


@pytest_asyncio.fixture(loop_scope="module", params=["excess", "none"])
async def rule_and_vast(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[str, LocalVast]]:
    """A worker whose running jobs count less, and whose new work is metered."""
    settings = {"WORKER_VAST_RUNNING": request.param, "WORKER_VAST_METERING": "true"}
    async with worker(tmp_path, 1, **settings) as vast:
        yield request.param, vast


async def test_running_jobs_can_count_less(rule_and_vast: tuple[str, LocalVast]) -> None:
    """A running job alone counts at most a second, or not at all. A job that waits behind it counts."""
    rule, vast = rule_and_vast
    limit_s = 1.0 if rule == "excess" else 0.0

    def is_small(report: StatusReport) -> bool:
        return len(report.working_request_idxs) == 1 and 0.0 <= report.seconds_to_do <= limit_s

    first = asyncio.create_task(send(vast, sampling(300, 8)))
    await vast.record.until(lambda record: is_small(record.statuses[-1]))
    metered = sum(report.new_load for report in vast.record.statuses)
    second = asyncio.create_task(send(vast, sampling(60, 9)))
    await vast.record.until(lambda record: record.statuses[-1].seconds_to_do > 1.0)
    ends = await asyncio.gather(first, second)
    report = next(report for report in vast.record.statuses if len(report.working_request_idxs) == 2)
    true_s = max(ends) - (report.at if rule == "excess" else min(ends))
    assert report.seconds_to_do == pytest.approx(true_s, rel=0.4, abs=1.0)
    await vast.record.until(idle)
    new, served = (sum(getattr(row, name) for row in vast.record.statuses) for name in ("new_load", "cur_perf"))
    assert new == pytest.approx(served)
    assert metered < 0.7 * served
