"""A restart that Vast requests."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.cli.terminal import environment
from tests.engines import EngineHandle
from tests.platforms.conftest import loaded
from tests.workflows import slow
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def vast() -> AsyncIterator[LocalVast]:
    async with vast_router.serve() as vast:
        yield vast


async def start(vast: LocalVast, engine: EngineHandle, folder: Path, **env: str) -> asyncio.subprocess.Process:
    """Start the real command as the image does."""
    given = {
        **await vast.worker_env(1),
        "WORKER_COMFYUI": engine.url,
        "WORKER_VAST_HOST": "127.0.0.1",
        "WORKER_GATEWAY_PORT": "0",
        "WORKER_BENCHMARK_RUNS": "1",
        **env,
    }
    with (folder / "worker.log").open("ab") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "worker", "serve", "--platform", "vast"),
            cwd=folder,
            env=environment(**given),
            stderr=log,
        )


async def update(url: str, token: str) -> tuple[int, dict]:
    async with (
        aiohttp.ClientSession() as http,
        http.post(f"{url}/pyworker/update", headers={"Authorization": f"Bearer {token}"}) as answer,
    ):
        return answer.status, await answer.json()


async def test_an_update_drains_and_asks_for_a_restart(vast: LocalVast, engine: EngineHandle, tmp_path: Path) -> None:
    """An update with the token drains, finishes running jobs and exits with code 75."""
    process = await start(vast, engine, tmp_path)
    await vast.record.until(loaded(1))
    url = vast.record.statuses[-1].url
    assert [(await update(url, token))[0] for token in ("", "wrong")] == [403, 403]
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        asked = asyncio.ensure_future(endpoint.request("/generate/sync", {"workflow": slow(1.0, steps=5)}, timeout=60))
        await vast.record.until(lambda record: record.statuses[-1].cur_load > 0)
        assert await update(url, vast.master_token) == (200, {"ok": True})
        assert (await asked)["response"]["status"] == "success"
    async with asyncio.timeout(60):
        assert await process.wait() == 75


async def test_without_a_token_updates_are_rejected(vast: LocalVast, engine: EngineHandle, tmp_path: Path) -> None:
    """A worker with an empty MASTER_TOKEN rejects all updates."""
    vast.master_token, known = "", vast.master_token
    process = await start(vast, engine, tmp_path)
    try:
        await vast.record.until(loaded(1))
        assert [(await update(vast.record.statuses[-1].url, token))[0] for token in ("", known)] == [403, 403]
    finally:
        process.terminate()
        await process.wait()
