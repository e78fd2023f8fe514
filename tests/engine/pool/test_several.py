"""Tests of several engines behind one worker, each in its own process."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.engine.supervised import Supervised, engine_pids, supervised
from tests.workflows import faulty, picture, slow
from worker.app import build
from worker.errors import StartupError
from worker.settings import Settings


async def all_reached(worker: Supervised, count: int) -> None:
    async with asyncio.timeout(60):
        while sum(engine.connected for engine in worker.app.engines.engines) < count:
            await asyncio.sleep(0.02)


def alive(worker: Supervised) -> int:
    return len(worker.app.engines.estimates.alive)


async def used(worker: Supervised, jobs: list[dict]) -> Counter[str | None]:
    """Wait until the jobs have succeeded, and return the number of jobs by engine."""
    ended = [await worker.result(job) for job in jobs]
    assert [status for status, _ in ended] == [200] * len(jobs), [body.get("error") for _, body in ended]
    return Counter(worker.engine_of(job) for job in jobs)


async def test_each_engine_has_its_share(tmp_path: Path) -> None:
    """Equal jobs are spread evenly over engines with their own state and one input folder."""
    async with supervised(tmp_path, gpus="2") as worker:
        await all_reached(worker, 2)
        jobs = [await worker.job(slow(0.8)) for _ in range(6)]
        assert await used(worker, jobs) == {"engine-0": 3, "engine-1": 3}
        for name in ("engine.log", "engine-1.log", "engine/output", "engine-1/output", "engine/input"):
            assert (tmp_path / name).exists()
        assert not (tmp_path / "engine-1" / "input").exists()
        _, body = await worker.get("/capabilities")
        assert [(one["name"], one["gpu"], one["state"]) for one in body["engines"]] == [
            ("engine-0", "0", "ready"),
            ("engine-1", "1", "ready"),
        ]


async def test_jobs_of_an_engine_that_dies_run_elsewhere(tmp_path: Path) -> None:
    """The jobs of a killed engine run on the others at once, and the worker stays ready."""
    async with supervised(tmp_path, gpus="2") as worker:
        await all_reached(worker, 2)
        jobs = [await worker.job(slow(4.0)) for _ in range(2)]
        behind = [await worker.job(slow(0.1)) for _ in range(4)]
        for job in jobs:
            await worker.state(job, "generating")
        (tmp_path / "engine-1.log").unlink()
        (tmp_path / "engine-1.log").mkdir()  # it can't be started again
        worker.signal(signal.SIGKILL, "engine-1")
        assert await used(worker, [*jobs, *behind]) == {"engine-0": 6}
        assert (await worker.get("/ready"))[0] == 200


async def test_an_engine_that_comes_back_gets_jobs_again(tmp_path: Path) -> None:
    """An engine is not alive until it is connected again."""
    async with supervised(tmp_path, gpus="2") as worker:
        await all_reached(worker, 2)
        assert alive(worker) == 2
        worker.signal(signal.SIGKILL, "engine-1")
        async with asyncio.timeout(60):
            while alive(worker) == 2:
                await asyncio.sleep(0.01)
        assert alive(worker) == 1
        await all_reached(worker, 2)
        assert alive(worker) == 2
        jobs = [await worker.job(slow(0.3)) for _ in range(4)]
        assert await used(worker, jobs) == {"engine-0": 2, "engine-1": 2}


async def test_the_last_engine_that_is_given_up_ends_the_worker(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The worker goes on without an engine that cannot be started, and ends with the last one."""

    async def life() -> None:
        async with supervised(tmp_path, gpus="2", engine_tries=1) as worker:
            await all_reached(worker, 2)
            for name in ("engine-1", "engine-0"):
                log = tmp_path / ("engine.log" if name == "engine-0" else f"{name}.log")
                log.unlink()
                log.mkdir()
                worker.signal(signal.SIGKILL, name)
                async with asyncio.timeout(60):
                    while worker.app.engines.named(name).final_error is None:  # type: ignore[union-attr]
                        await asyncio.sleep(0.02)
                assert (await worker.get("/ready"))[0] == 200
                _, body = await worker.get("/capabilities")
                assert [one["state"] for one in body["engines"]] == ["ready", "given up"]
                assert alive(worker) == 1
                assert await used(worker, [await worker.job(picture())]) == {"engine-0": 1}

    with pytest.raises(StartupError, match=r"ComfyUI did not start: it cannot be started: .*engine\.log"):
        await life()
    assert "engine-1 cannot be started, and the worker goes on without it" in caplog.text


async def test_crashes_are_counted_over_all_engines(tmp_path: Path) -> None:
    """Two crashes on different engines block a job, and other jobs run."""
    async with supervised(tmp_path, gpus="3") as worker:
        await all_reached(worker, 3)
        crashing = await worker.job(faulty("crash;times=0", 0.3))
        others = [await worker.job(slow(0.5)) for _ in range(6)]
        status, body = await worker.result(crashing)
        assert (status, body["error"]["code"]) == (422, "job_crashes_engine")
        assert sum((await used(worker, others)).values()) == 6


async def test_no_engine_of_several_outlives_its_worker(tmp_path: Path) -> None:
    """All engines stop with the worker."""
    async with supervised(tmp_path, gpus="3"):
        names = [f"engine-{number}" for number in range(3)]
        async with asyncio.timeout(60):
            while not all(engine_pids(tmp_path, name) for name in names):
                await asyncio.sleep(0.02)
    assert not any(engine_pids(tmp_path, name) for name in names)


async def test_gpus_of_a_comfyui_that_runs_already_are_refused(tmp_path: Path) -> None:
    """The worker does not start with WORKER_GPUS and a URL, and the message names both settings."""
    settings = Settings.of(comfyui="http://127.0.0.1:9", gpus="2", state=tmp_path, port=0)
    with pytest.raises(StartupError, match=r"WORKER_GPUS=2 .*WORKER_COMFYUI=http://127\.0\.0\.1:9"):
        async with build(settings):
            pass
