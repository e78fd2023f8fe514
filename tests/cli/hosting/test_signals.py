"""Signals that have no meaning for a worker, while it runs jobs."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.cli.commands.test_serve import serving
from tests.cli.hosting.test_parent_process import children, healthy
from tests.engines import EngineHandle
from tests.platforms.conftest import loaded, processes, start_worker
from tests.workflows import slow
from worker.engine.process.free_port import free_port
from worker.simulators import vast_router

pytestmark = pytest.mark.timeout(240)

SIGNALS = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def family(pid: int) -> list[int]:
    """Return the ids of a process and of all processes that it has started."""
    return [pid, *(member for child in children(pid) for member in family(child))]


def session(pid: int) -> int:
    return os.getsid(pid)


async def accepted(http: aiohttp.ClientSession, url: str, number: int) -> dict[str, Any]:
    body = {"workflow": slow(1, steps=10), "id": f"signalled-{number}"}
    async with http.post(f"{url}/generate", json=body) as answer:
        assert answer.status == 202
        return dict(await answer.json())


async def generating(http: aiohttp.ClientSession, url: str, job: Mapping[str, Any]) -> None:
    """Wait until a job runs. Every process has started by then."""
    headers = {"Authorization": f"Bearer {job['token']}"}
    async with http.get(f"{url}/jobs/{job['id']}/events", headers=headers) as events:
        async for line in events.content:
            if b"generating" in line:
                return
    raise AssertionError("the job ended without running")


async def result(http: aiohttp.ClientSession, url: str, job: Mapping[str, Any]) -> str:
    """Wait for the end of a job and return its status."""
    headers = {"Authorization": f"Bearer {job['token']}"}
    async with http.get(f"{url}/jobs/{job['id']}/events", headers=headers) as events:
        await events.read()
    async with http.get(f"{url}/jobs/{job['id']}", headers=headers) as answer:
        return str((await answer.json())["status"])


async def stays_at_work(url: str, pid: int) -> None:
    """Send each signal to the worker, to its parent process and to every process of their session; jobs succeed."""
    async with asyncio.timeout(100), aiohttp.ClientSession() as http:
        jobs = [await accepted(http, url, number) for number in range(3)]
        await generating(http, url, jobs[0])
        own = session(pid)
        before = family(pid)
        for number in SIGNALS * 2:
            for member in before:
                if session(member) == own:
                    os.kill(member, number)
        assert await asyncio.gather(*(result(http, url, job) for job in jobs)) == ["success"] * 3
        assert family(pid) == before


@pytest.mark.parametrize("more", [(), ("--restarts", "2")], ids=["serve", "with a parent process"])
async def test_no_job_is_lost(tmp_path: Path, more: tuple[str, ...]) -> None:
    """No job is lost to the signals, and SIGTERM still lets jobs finish."""
    async with serving(*more, "--state", str(tmp_path / "s"), cwd=tmp_path) as (process, said):
        url = said.split()[-1]
        await healthy(url)
        await stays_at_work(url, process.pid)
        engine = next(member for member in family(process.pid) if session(member) != session(process.pid))
        assert engine
        process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == 0


async def test_a_restarted_worker_ignores_the_signals(engine: EngineHandle, tmp_path: Path) -> None:
    """A restarted worker ignores the signals from its start, as its parent process has ignored them."""
    arguments = ("--comfyui", engine.url, "--restarts", "2", "--port", str(free_port()), "--state", str(tmp_path / "s"))
    async with serving(*arguments, cwd=tmp_path) as (process, said):
        [first] = children(process.pid)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(60):
            while (again := children(process.pid)) in ([], [first]):
                await asyncio.sleep(0.05)
            for number in SIGNALS:
                os.kill(again[0], number)
            await healthy(said.split()[-1])
        assert children(process.pid) == again


async def test_no_job_is_lost_on_vast(engine: EngineHandle, tmp_path: Path) -> None:
    """No job is lost to the signals behind Vast's SDK."""
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(vast_router.serve())
        spawn = await stack.enter_async_context(processes(tmp_path))
        port = free_port()
        process = await start_worker(spawn, local, engine, 1, tmp_path / "state", WORKER_GATEWAY_PORT=str(port))
        await local.record.until(loaded(1))
        await stays_at_work(f"http://127.0.0.1:{port}", process.pid)
        assert process.returncode is None
