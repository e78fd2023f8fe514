"""Tests of jobs that wait for engines, and of jobs from the journal."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from tests.engine.supervised import Supervised, supervised
from tests.workflows import picture, slow
from worker.engine.config import EngineConfig
from worker.engine.crashes.history import CrashHistory
from worker.engine.pool import EnginePool
from worker.errors import EngineUnavailable
from worker.job import Job, JobRequest
from worker.jobs.journal import Journal
from worker.settings import ComfySettings, LimitSettings
from worker.supervision import Tasks


async def left(state: Path, engine: str | None, request: JobRequest) -> Job:
    """Store a job of an earlier process of the worker that was submitted to this engine."""
    job = Job("left", request, collectable=True, prompt_id="3f0e2a1c-0000-4000-8000-000000000001", engine=engine)
    with Journal(state / "journal.sqlite") as journal:
        await journal.record_accepted(job)
    return job


async def ended(worker: Supervised, job: Job) -> tuple[int, dict]:
    await asyncio.wait_for(worker.app.manager.wait_for_end(worker.app.manager.find(job.id, job.token)), 15)
    return await worker.get(f"/jobs/{job.id}", job.token)


async def test_a_job_of_an_engine_that_does_not_exist_any_more_runs_elsewhere(tmp_path: Path) -> None:
    """A stored job of a removed engine runs on another engine, without blame."""
    job = await left(tmp_path, "engine-7", JobRequest(picture()))
    async with supervised(tmp_path, gpus="2") as worker:
        assert (await ended(worker, job))[0] == 200
    assert CrashHistory(tmp_path / "suspects.json", 60).find(job.request) is None


@pytest.mark.parametrize("engine", ["engine-1", None])
async def test_a_job_that_its_engine_lost_with_the_worker_runs_again(tmp_path: Path, engine: str | None) -> None:
    """A stored job of a managed engine is sent again after a restart of the worker."""
    job = await left(tmp_path, engine, JobRequest(picture()))
    async with supervised(tmp_path, gpus="2") as worker:
        assert (await ended(worker, job))[0] == 200


async def test_the_journal_has_the_engine_of_a_running_job(tmp_path: Path) -> None:
    """The journal has the prompt id and the engine of a job once it is submitted."""
    async with supervised(tmp_path, gpus="2") as worker:
        await worker.app.engines.wait_until_settled()
        jobs = [await worker.job(slow(1.0), id=f"job-{number}") for number in range(2)]
        for job in jobs:
            await worker.state(job, "generating")
        with Journal(tmp_path / "journal.sqlite") as journal:
            stored = {one.job.id: one.job for one in journal.jobs()}
        assert sorted(str(job.engine) for job in stored.values()) == ["engine-0", "engine-1"]
        assert all(job.prompt_id for job in stored.values())


async def test_jobs_that_no_engine_takes_end_with_a_reason(tmp_path: Path) -> None:
    """Waiting jobs end with EngineUnavailable when no engine is connected for too long."""
    configs = [EngineConfig(f"engine-{number}", "http://127.0.0.1:9", None, None) for number in range(2)]
    async with Tasks() as tasks, EnginePool(configs, ComfySettings(lost_s=0.2), LimitSettings(), tasks) as pool:
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(EngineUnavailable):
                async with pool.place(Job("a", JobRequest(picture()))):
                    pass
            assert time.monotonic() - began > 0.15


async def test_a_cancelled_job_gives_its_place_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Other jobs run after a job is cancelled in the queue, in ComfyUI's queue or while it runs."""
    with caplog.at_level(logging.ERROR):
        async with supervised(tmp_path, gpus="2", queue_ahead=1) as worker:
            await worker.app.engines.wait_until_settled()
            jobs = [await worker.job(slow(20, steps=200)) for _ in range(8)]
            for job in jobs[:2]:
                await worker.state(job, "generating")
            for job in reversed(jobs):
                await worker.delete(f"/jobs/{job['id']}", job["token"])
            assert [worker.app.engines.job_count(engine) for engine in worker.app.engines.engines] == [0, 0]
            assert (await worker.result(await worker.job(picture())))[0] == 200
    assert "failed" not in caplog.text
