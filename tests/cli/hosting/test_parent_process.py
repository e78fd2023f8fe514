"""The parent process of a worker, the real command."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import suppress
from pathlib import Path

import aiohttp

from tests.cli.commands.test_serve import processes_with, serving
from tests.cli.terminal import command
from tests.engines import EngineHandle
from worker.engine.process.free_port import free_port


def children(pid: int) -> list[int]:
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def healthy(url: str) -> None:
    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        while True:
            with suppress(aiohttp.ClientError):
                async with http.get(f"{url}/health") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


async def test_a_killed_worker_is_restarted(engine: EngineHandle, tmp_path: Path) -> None:
    """A killed worker is restarted at the same address, and SIGTERM to the parent ends both."""
    arguments = ("--comfyui", engine.url, "--restarts", "3", "--port", str(free_port()), "--state", str(tmp_path / "s"))
    async with serving(*arguments, cwd=tmp_path) as (process, said):
        url = said.split()[-1]
        [first] = children(process.pid)
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(60):
            while children(process.pid) in ([], [first]):
                await asyncio.sleep(0.05)
        await healthy(url)
        process.terminate()
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    assert not processes_with(str(tmp_path))


async def test_a_worker_does_not_outlive_its_parent(engine: EngineHandle, tmp_path: Path) -> None:
    """A kill of the parent process ends the worker too."""
    arguments = ("--comfyui", engine.url, "--restarts", "3", "--state", str(tmp_path / "s"))
    async with serving(*arguments, cwd=tmp_path) as (process, _):
        process.kill()
        await process.wait()
        async with asyncio.timeout(60):
            while processes_with(str(tmp_path)):
                await asyncio.sleep(0.05)


def test_a_worker_that_dies_too_often_is_not_restarted(tmp_path: Path) -> None:
    """A worker that dies too often in a row is not restarted, and its exit code is returned."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = command("serve", "--restarts", "1", "--port", taken.getsockname()[1], cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("cannot listen on 127.0.0.1") == 2
    assert "died 2 times in a row" in done.stderr
