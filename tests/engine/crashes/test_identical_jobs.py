"""Tests of jobs with one graph that are in ComfyUI when it dies: one death counts once."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest

from tests.engine.supervised import Supervised, engine_pids, supervised
from tests.engines import start_engine
from tests.jobs.test_restart import Served, served
from tests.workflows import faulty, picture, slow


def submitted(state: Path) -> int:
    """Return the number of jobs in the journal that were submitted and have not ended."""
    with closing(sqlite3.connect(state / "journal.sqlite")) as journal:
        return journal.execute("SELECT count(prompt_id) FROM jobs WHERE ended_at IS NULL").fetchone()[0]


async def inside(worker: Served | Supervised) -> None:
    """Wait until ComfyUI has three jobs, which is as many as it gets at once."""
    async with asyncio.timeout(60):
        while sum(map(len, (await worker.engine_says("/queue")).values())) < 3:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("count", [3, 5])
async def test_one_kill_of_worker_and_comfyui_blocks_no_job(tmp_path: Path, count: int) -> None:
    """Jobs with one graph succeed after worker and ComfyUI are killed once."""
    workflow = slow(1.2, steps=12)
    with start_engine(tmp_path / "engine") as engine:
        async with served(engine, tmp_path / "state") as worker:
            jobs = [(await worker.post("/generate", {"workflow": workflow}))[1] for _ in range(count)]
            await inside(worker)
            await worker.end()
            engine.kill()
            engine.restart()
            await worker.start()
            assert [(await worker.result(job))[0] for job in jobs] == [200] * count


async def test_one_kill_of_a_worker_with_its_own_comfyui_blocks_no_job(tmp_path: Path) -> None:
    """Jobs with one graph succeed after a worker and the ComfyUI it manages are killed once."""
    workflow, base = slow(1.2, steps=12), tmp_path / "state" / "engine"
    engine = SimpleNamespace(url="embedded", output=base / "output", input=base / "input")
    async with served(engine, tmp_path / "state") as worker:
        await worker.post("/generate/sync", {"workflow": picture()})  # until its catalog is read jobs run apart
        jobs = [(await worker.post("/generate", {"workflow": workflow}))[1] for _ in range(5)]
        async with asyncio.timeout(60):
            while submitted(tmp_path / "state") < 3:
                await asyncio.sleep(0.02)
        await worker.end()
        await worker.start()
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 5


@pytest.mark.parametrize("count", [3, 5])
async def test_one_kill_of_comfyui_blocks_no_job(tmp_path: Path, count: int) -> None:
    """After ComfyUI is killed, the running job is run again alone, and the other jobs after it."""
    workflow = slow(1.2, steps=12)
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(workflow) for _ in range(count)]
        await inside(worker)
        worker.signal(signal.SIGKILL)
        assert [(await worker.result(job))[0] for job in jobs] == [200] * count


async def test_engines_that_are_killed_together_block_no_job(tmp_path: Path) -> None:
    """Jobs with one graph succeed after two engines are killed at the same time."""
    workflow = slow(1.0, steps=10)
    async with supervised(tmp_path, gpus="2") as worker:
        await worker.app.engines.wait_until_settled()
        jobs = [await worker.job(workflow) for _ in range(5)]
        for job in jobs[:2]:
            await worker.state(job, "generating")
        pids = [pid for engine in ("engine", "engine-1") for pid in engine_pids(tmp_path, engine)]
        assert len(pids) == 2
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        assert [(await worker.result(job))[0] for job in jobs] == [200] * 5


async def test_a_graph_that_crashes_comfyui_is_blocked_for_all_its_jobs(tmp_path: Path) -> None:
    """Two deaths of ComfyUI block all jobs with the graph that ran, and another job succeeds."""
    guilty = faulty("crash;times=0", 0.2)
    async with supervised(tmp_path) as worker:
        jobs = [await worker.job(guilty) for _ in range(4)]
        other = await worker.job(slow(0.1))
        results = [await worker.result(job) for job in jobs]
        assert [body["error"]["code"] for _, body in results] == ["job_crashes_engine"] * 4
        assert (await worker.result(other))[0] == 200
    [record] = orjson.loads((tmp_path / "suspects.json").read_bytes()).values()
    assert len(record["crashes"]) == 2
