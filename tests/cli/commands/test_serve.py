"""`comfy-worker serve`, the real command."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from tests.cli.commands.test_run import sizes, written
from tests.cli.terminal import ROOT, WORKFLOWS, cli, environment
from tests.engines import EngineHandle
from tests.workflows import slow


@asynccontextmanager
async def serving(*arguments: str, cwd: Path, **env: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The process and everything it says up to the line that tells how to reach it; ended with SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "serve", "--port", "0", *arguments),
        cwd=cwd,
        env=environment(**env),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(20):
            while not re.search("--vast-url http" if "vast-local" in arguments else "listening on http", said):
                line = await process.stderr.readline()
                assert line, said
                said += line.decode()
        yield process, said
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def test_it_serves_and_ends_in_order(tmp_path: Path) -> None:
    """Health is answered while the engine starts; ready, it says where the time went; SIGTERM ends all with code 0."""
    async with serving(cwd=tmp_path) as (process, said), aiohttp.ClientSession() as http:
        url = said.split()[-1]
        async with http.get(f"{url}/health") as answer:
            assert answer.status == 200
        assert process.stderr is not None
        async with asyncio.timeout(10):
            while "worker ready " not in (line := (await process.stderr.readline()).decode()):
                assert line
        stages = re.findall(r"(\w+) [\d.]+(?:,|$)", line.strip())
        assert stages[-4:] == ["python", "gateway", "engine", "models"]
        async with http.get(f"{url}/capabilities") as answer:
            assert list((await answer.json())["start_s"]) == stages
        process.terminate()
        await process.wait()
    assert process.returncode == 0
    assert not processes_with(str(tmp_path))


async def test_a_second_signal_does_not_wait_for_jobs(engine: EngineHandle, tmp_path: Path) -> None:
    """The first one drains, the second one ends the draining."""
    async with serving("--comfyui", engine.url, cwd=tmp_path) as (process, said), aiohttp.ClientSession() as http:
        url = said.split()[-1]
        async with http.post(f"{url}/generate", json={"workflow": slow(60, steps=600)}) as answer:
            assert answer.status == 202
        process.send_signal(signal.SIGINT)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), 1)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 5)
    assert process.returncode == 0


def test_what_keeps_it_from_starting_is_one_sentence(tmp_path: Path) -> None:
    """A port that is taken, a folder without a ComfyUI, a platform nobody knows, a container that isn't Vast's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = cli("serve", "--port", taken.getsockname()[1], cwd=tmp_path)
    assert (done.returncode, "cannot listen on 127.0.0.1" in done.stderr) == (1, True)
    done = cli("serve", "--comfyui", tmp_path, cwd=tmp_path)
    assert (done.returncode, "has no main.py" in done.stderr) == (1, True)
    done = cli("serve", "--platform", "vest", cwd=tmp_path)
    assert (done.returncode, "none, vast, vast-local" in done.stderr) == (2, True)
    done = cli("serve", "--platform", "vast", cwd=tmp_path)
    assert (done.returncode, "CONTAINER_ID" in done.stderr) == (1, True)


def test_a_start_imports_nothing_that_it_does_not_need() -> None:
    """Rich, Pillow and the SDKs of platforms would double the time until the first answer."""
    code = "import sys, worker.cli.commands.serve, worker.app; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"rich", "PIL", "vastai", "runpod", "modal", "boto3"} & set(loaded.split())


async def test_vast_is_played_on_this_machine(engine: EngineHandle, tmp_path: Path) -> None:
    """`--platform vast-local` prints the command that sends a workflow through Vast's own client; it works."""
    arguments = ("--platform", "vast-local", "--comfyui", engine.url)
    async with serving(*arguments, cwd=tmp_path, WORKER_BENCHMARK_RUNS="1") as (_, said):
        key = re.search(r"VAST_API_KEY=(\S+)", said)
        url = re.search(r"--vast-url (\S+)", said)
        assert key
        assert url
        way = ("--vast-endpoint", "comfy", "--vast-url", url[1])
        workflow = WORKFLOWS / "sd15-res4lyf.json"
        done = await asyncio.to_thread(cli, "run", workflow, *way, cwd=tmp_path, VAST_API_KEY=key[1])
        assert done.returncode == 0, done.stderr
        assert "Sampler 20/20" in done.stderr
        assert sizes(tmp_path / "out") == [(512, 512)]
        done = await asyncio.to_thread(cli, "run", workflow, *way, cwd=tmp_path)
        assert (done.returncode, "VAST_API_KEY is not set" in done.stderr) == (1, True)
        await cancelled(written(tmp_path, slow(30, steps=300)), *way, cwd=tmp_path, VAST_API_KEY=key[1])


async def cancelled(*arguments: object, cwd: Path, **env: str) -> None:
    """Ctrl-C reaches the worker that has the job."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "run", *map(str, arguments)),
        cwd=cwd,
        env=environment(**env),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    async for line in process.stderr:
        if b"Pause" in line:
            break
    process.send_signal(signal.SIGINT)
    _, said = await process.communicate()
    assert b"The job is cancelled" in said
    assert process.returncode == 130


def processes_with(text: str) -> list[str]:
    """Command lines on this machine that contain it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().decode(errors="replace"))
    return [line for line in found if text in line]
