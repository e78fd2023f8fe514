"""The engine as a separate process: start, end, and restart."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.simulators.comfyui.client import EngineClient, is_event, picture, slow

PROGRAM = """
import sys
from pathlib import Path
from worker.simulators.comfyui.server.serve import run
from worker.simulators.comfyui.settings import EngineSettings
run(EngineSettings(base=Path(sys.argv[1])))
"""


@asynccontextmanager
async def process(base: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, EngineClient]]:
    """Run an engine in a child process. Its first line of output has its URL."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(base), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert child.stdout is not None
        line = (await child.stdout.readline()).decode()
        async with EngineClient(line.split()[-1], base) as client:
            yield child, client
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


@pytest.mark.parametrize(("number", "keeps_temp"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
async def test_restart_loses_queue_and_history(tmp_path: Path, number: signal.Signals, keeps_temp: bool) -> None:
    """A stopped engine aborts its sockets and loses queue, history and temp files, but not its outputs."""
    base = tmp_path / "engine"
    async with process(base) as (child, client):
        graph = picture(1) | {"3": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}}
        await client.run(graph)
        socket = await client.listen("A")
        lost = await client.submit(slow(60.0, steps=6000))
        await socket.until(lambda frame: is_event(frame, "progress"))
        child.send_signal(number)
        async with asyncio.timeout(60):
            message = await socket.raw.receive()
            while message.type is aiohttp.WSMsgType.TEXT:
                message = await socket.raw.receive()
            assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING)
            assert socket.raw.close_code == 1006
            assert await child.wait() == 0
        with pytest.raises(aiohttp.ClientConnectionError):
            await client.get("/prompt")
    assert any((base / "temp").glob("*.png")) is keeps_temp if keeps_temp else not (base / "temp").exists()
    async with process(base) as (_, client):
        assert await client.get("/history") == await client.get(f"/history/{lost}") == {}
        assert await client.get("/queue") == {"queue_running": [], "queue_pending": []}
        assert not list((base / "temp").iterdir())
        entry = await client.run(picture(1))
        assert entry["prompt"][0] == 0
        assert entry["outputs"]["2"]["images"][0]["filename"] == "t_00002_.png"


async def test_big_files_take_no_space(tmp_path: Path) -> None:
    """EmbeddedBigFile writes a sparse file of any size at once."""
    async with process(tmp_path / "engine") as (_, client):
        graph = {"1": {"class_type": "EmbeddedBigFile", "inputs": {"mebibytes": 300, "filename_prefix": "big"}}}
        file = (await client.run(graph))["outputs"]["1"]["images"][0]
        async with client.http.head("/view", params=file) as answer:
            assert answer.headers["Content-Length"] == str(300 * 1024 * 1024)
        assert (client.base / "output" / file["filename"]).stat().st_blocks < 1000
