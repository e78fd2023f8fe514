"""Reports to the autoscaler when ComfyUI does not come back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.engine.supervised import engine_pids
from tests.engines import start_engine
from tests.platforms.conftest import Spawn, loaded, start_worker
from tests.workflows import picture
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def vast() -> AsyncIterator[LocalVast]:
    async with vast_router.serve() as vast:
        yield vast


async def test_requests_wait_while_comfyui_starts_again(vast: LocalVast, spawn: Spawn, tmp_path: Path) -> None:
    """Requests wait as load while ComfyUI restarts, and run afterwards."""
    with start_engine(tmp_path / "engine") as own:
        await start_worker(spawn, vast, own, 1, tmp_path / "state")
        await vast.record.until(loaded(1))
        own.kill()
        async with vast.client() as client:
            endpoint = await client.get_endpoint("comfy")
            asked = asyncio.ensure_future(endpoint.request("/generate/sync", {"workflow": picture()}, timeout=60))
            await vast.record.until(lambda record: record.reports_of(1)[-1].cur_load > 0)
            own.restart()
            answer = await asked
        assert answer["response"]["status"] == "success"
        assert sum(said.rej_load for said in vast.record.reports_of(1)) == 0


async def test_what_comfyui_said_last_reaches_the_autoscaler(vast: LocalVast, spawn: Spawn, tmp_path: Path) -> None:
    """The worker exits early and reports ComfyUI's last message."""
    comfyui = tmp_path / "ComfyUI"
    comfyui.mkdir()
    (comfyui / "main.py").write_text("raise SystemExit('no CUDA device')")
    env = {"WORKER_COMFYUI": str(comfyui), "WORKER_ENGINE_TRIES": "2", "WORKER_STATE": str(tmp_path / "state")}
    process = await spawn("comfy_worker.py", {**await vast.worker_env(1), "WORKER_VAST_HOST": "127.0.0.1", **env})
    async with asyncio.timeout(60):
        assert await process.wait() != 0
        await vast.record.until(lambda record: any("no CUDA device" in row.error_msg for row in record.statuses))


async def test_one_of_two_engines_takes_its_speed_away(vast: LocalVast, spawn: Spawn, tmp_path: Path) -> None:
    """Both engines are measured. When one is gone, only the speed of the other is reported, and jobs still run."""
    state = tmp_path / "state"
    env = {"WORKER_COMFYUI": "embedded", "WORKER_GPUS": "2", "WORKER_STATE": str(state), "WORKER_BENCHMARK_RUNS": "1"}
    await spawn("comfy_worker.py", {**await vast.worker_env(1), "WORKER_VAST_HOST": "127.0.0.1", **env})
    await vast.record.until(loaded(1), 60)
    both = vast.record.reports_of(1)[-1].max_perf
    (state / "engine-1.log").unlink()
    (state / "engine-1.log").mkdir()  # it can't be started again
    [pid] = engine_pids(state, "engine-1")
    os.kill(pid, signal.SIGKILL)
    await vast.record.until(lambda record: record.reports_of(1)[-1].max_perf < 0.8 * both, 60)
    speeds = json.loads((state / "benchmark.json").read_text())["engines"]
    assert both == pytest.approx(sum(engine["speed"] for engine in speeds.values()))
    assert vast.record.reports_of(1)[-1].max_perf == pytest.approx(speeds["engine-0"]["speed"])
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        answer = await endpoint.request("/generate/sync", {"workflow": picture()}, timeout=60)
    assert answer["response"]["status"] == "success"
