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
    """Yield the process and its log up to the line with its address. End the process with SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "serve", "--port", "0", *arguments),
        cwd=cwd,
        env=environment(**env),
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    said = ""
    try:
        async with asyncio.timeout(60):
            while not re.search("--vast-url http" if "vast-local" in arguments else "listening on http", said):
                line = await process.stderr.readline()
                assert line, said
                said += line.decode()
        yield process, said
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def test_serve_starts_and_stops(tmp_path: Path) -> None:
    """`serve` responds while the engine starts, logs the times of the start, and ends with code 0 after SIGTERM."""
    async with serving(cwd=tmp_path) as (process, said), aiohttp.ClientSession() as http:
        url = said.split()[-1]
        async with http.get(f"{url}/health") as answer:
            assert answer.status == 200
        assert process.stderr is not None
        async with asyncio.timeout(60):
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


async def test_a_second_signal_stops_at_once(engine: EngineHandle, tmp_path: Path) -> None:
    """The first signal waits for running jobs, and the second one stops the worker."""
    async with serving("--comfyui", engine.url, cwd=tmp_path) as (process, said), aiohttp.ClientSession() as http:
        url = said.split()[-1]
        async with http.post(f"{url}/generate", json={"workflow": slow(60, steps=600)}) as answer:
            assert answer.status == 202
        process.send_signal(signal.SIGINT)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(process.wait()), 1)
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 60)
    assert process.returncode == 0


def test_a_failed_start_names_the_reason(tmp_path: Path) -> None:
    """A used port, a folder without ComfyUI, an unknown platform and missing variables of Vast are errors."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = cli("serve", "--port", taken.getsockname()[1], cwd=tmp_path)
        assert (done.returncode, "cannot listen on 127.0.0.1" in done.stderr) == (1, True)
        (tmp_path / "app" / "handlers").mkdir(parents=True)
        handlers = {"WORKER_HANDLERS": "app", "WORKER_HANDLERS_PORT": str(taken.getsockname()[1])}
        done = cli("serve", "--port", "0", cwd=tmp_path, **handlers)
    assert (done.returncode, "with another WORKER_HANDLERS_PORT" in done.stderr) == (1, True), done.stderr
    assert "--port" not in done.stderr
    done = cli("serve", "--comfyui", tmp_path, cwd=tmp_path)
    assert (done.returncode, "has no main.py" in done.stderr) == (1, True)
    done = cli("serve", "--platform", "vest", cwd=tmp_path)
    assert (done.returncode, "none, vast, vast-local" in done.stderr) == (2, True)
    done = cli("serve", "--platform", "vast", cwd=tmp_path)
    assert (done.returncode, "CONTAINER_ID" in done.stderr) == (1, True)


def test_serve_imports_no_heavy_package() -> None:
    """`serve` does not import Rich, Pillow and the SDKs of platforms, which would double the time of the start."""
    code = "import sys, worker.cli.commands.serve, worker.app; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert not {"rich", "PIL", "vastai", "runpod", "modal", "boto3"} & set(loaded.split())


async def test_vast_local_runs_workflows(engine: EngineHandle, tmp_path: Path) -> None:
    """The command that `--platform vast-local` prints runs a workflow through Vast's own client."""
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
    """Check that Ctrl-C cancels the job at its worker."""
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
    """Return the command lines of running processes that contain a text."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes().decode(errors="replace"))
    return [line for line in found if text in line]
