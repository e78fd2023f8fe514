"""Jobs, calls and processes that end early."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
from mcp import Client, MCPError
from pydantic import SecretStr

from tests.cli.terminal import ROOT, environment
from tests.conftest import Client as Worker
from tests.conftest import worker
from tests.engines import EngineHandle
from tests.mcp_server.hosts import (
    ALICE,
    HELLO,
    MODES,
    TOKENS,
    StdioProcess,
    direct_host,
    http_host,
    http_server,
    processes_of,
    stdio_command,
    stdio_process,
    structured,
    text,
    until,
)
from tests.workflows import slow
from worker.job import JobState

LONG = {"workflow": slow(600, 600)}
CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "generate", "arguments": LONG}}
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}


HANGUP_GRACE_S = 600
"""The worker itself cancels a job without a client after this time, which is longer than any test."""


@pytest.fixture
async def client(engine: EngineHandle, tmp_path: Path) -> AsyncIterator[Worker]:
    """A worker that does not cancel the job of a client that has left."""
    async with worker(engine, tmp_path / "worker", hangup_grace_s=HANGUP_GRACE_S, tokens=SecretStr(TOKENS)) as found:
        yield found


async def jobs(client: Worker, state: JobState) -> None:
    """Wait until the worker has a job in a state."""

    async def has_one() -> bool:
        return client.app.manager.states()[state] == 1

    await until(has_one)


async def test_a_job_in_the_background(client: Worker) -> None:
    """With wait=false the job's id comes at once, status waits for its end, and cancel comes too late."""
    async with direct_host(client.app.url, ALICE) as host:
        started = structured(await host.call_tool("generate", {"workflow": slow(0.5, 5), "wait": False}))
        assert started["outputs"] == []
        assert started["state"] != "completed"
        ended = structured(await host.call_tool("status", {"job_id": started["job_id"], "wait_s": 60}))
        late = structured(await host.call_tool("cancel", {"job_id": started["job_id"]}))
    assert (ended["state"], len(ended["outputs"])) == ("completed", 1)
    assert (late["cancelled"], late["state"]) == (False, "completed")


async def test_status_and_cancel_of_a_running_job(client: Worker) -> None:
    """status returns after its time with the progress of the job, and cancel ends it."""
    async with direct_host(client.app.url, ALICE) as host:
        job = structured(await host.call_tool("generate", {**LONG, "wait": False}))["job_id"]
        await jobs(client, JobState.GENERATING)
        running = structured(await host.call_tool("status", {"job_id": job, "wait_s": 0.2}))
        cancelled = structured(await host.call_tool("cancel", {"job_id": job}))
        after = structured(await host.call_tool("status", {"job_id": job}))
    assert running["state"] == "generating"
    assert "Pause" in running["progress"]
    assert running["outputs"] == []
    assert (cancelled["cancelled"], cancelled["state"]) == (True, "cancelled")
    assert after["state"] == "cancelled"


async def test_a_time_limit_ends_the_job(client: Worker) -> None:
    """A job that exceeds timeout_s is an error that says so."""
    async with direct_host(client.app.url, ALICE) as host:
        result = await host.call_tool("generate", {**LONG, "timeout_s": 0.5})
    assert result.is_error
    assert text(result).startswith("timeout:")


@pytest.mark.parametrize("mode", MODES)
async def test_a_cancelled_call_cancels_the_job(client: Worker, mode: str) -> None:
    """When a host over standard input cancels its call, the job is cancelled, and the server goes on."""
    async with Client(stdio_command("--url", client.app.url, WORKER_TOKEN=ALICE), mode=mode) as host:
        call = asyncio.create_task(host.call_tool("generate", LONG))
        await jobs(client, JobState.GENERATING)
        call.cancel()
        await jobs(client, JobState.CANCELLED)
        assert structured(await host.call_tool("list_templates", {}))["templates"]


CALLING = """
import asyncio, json, sys
from tests.mcp_server.hosts import http_host

async def main(url, token, mode, arguments):
    async with http_host(url, token, mode) as host:
        await host.call_tool("generate", json.loads(arguments))

asyncio.run(main(*sys.argv[1:]))
"""
"""A program that calls a tool over HTTP."""


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_leaves_cancels_its_job(client: Worker, mode: str) -> None:
    """When a client over HTTP is killed in the middle of a call, its job is cancelled."""
    async with http_server("--url", client.app.url) as (url, _):
        words = ("-c", CALLING, url, ALICE, mode, json.dumps(LONG))
        caller = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT)
        await jobs(client, JobState.GENERATING)
        caller.kill()
        await caller.wait()
        await jobs(client, JobState.CANCELLED)


async def test_a_cancelled_call_over_http_cancels_the_job(client: Worker) -> None:
    """When a client of the older protocol sends the notification of a cancelled call, the job is cancelled."""
    async with http_server("--url", client.app.url) as (url, _), http_host(url, ALICE, "legacy") as host:
        call = asyncio.create_task(host.call_tool("generate", LONG))
        await jobs(client, JobState.GENERATING)
        call.cancel()
        await jobs(client, JobState.CANCELLED)


async def calling(server: StdioProcess, client: Worker) -> None:
    """Start a long job over standard input, and wait until it runs."""
    await server.send(json.dumps(HELLO))
    assert json.loads(await server.line())["result"]["serverInfo"]["name"] == "comfy-worker"
    await server.send(json.dumps(INITIALIZED), json.dumps(CALL))
    await jobs(client, JobState.GENERATING)


async def test_closed_input_ends_the_server(client: Worker) -> None:
    """When standard input closes in the middle of a job, the job is cancelled and the process exits with 0."""
    async with stdio_process("--url", client.app.url, WORKER_TOKEN=ALICE) as server:
        await calling(server, client)
        assert server.process.stdin is not None
        server.process.stdin.close()
        assert await asyncio.wait_for(server.process.wait(), 30) == 0
        await jobs(client, JobState.CANCELLED)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_server(client: Worker, number: signal.Signals) -> None:
    """A signal in the middle of a job cancels the job, and the process exits with 0 though its input is open."""
    async with stdio_process("--url", client.app.url, WORKER_TOKEN=ALICE) as server:
        await calling(server, client)
        server.process.send_signal(number)
        assert await asyncio.wait_for(server.process.wait(), 30) == 0
        await jobs(client, JobState.CANCELLED)


async def test_a_signal_ends_the_server_over_http(client: Worker) -> None:
    """SIGTERM in the middle of a call over HTTP cancels the job, and the process exits with 0."""
    async with http_server("--url", client.app.url) as (url, process):
        with suppress(Exception):
            async with http_host(url, ALICE) as host:
                call = asyncio.create_task(host.call_tool("generate", LONG))
                await jobs(client, JobState.GENERATING)
                process.terminate()
                assert await asyncio.wait_for(process.wait(), 30) == 0
                with suppress(MCPError):
                    await call
        assert process.returncode == 0
        await jobs(client, JobState.CANCELLED)


async def test_a_worker_of_its_own(tmp_path: Path) -> None:
    """Without --url the server starts a worker and an engine, and neither outlives it."""
    state = tmp_path / "tmp"
    state.mkdir()
    async with Client(stdio_command(TMPDIR=str(state))) as host:
        result = await host.call_tool("generate", {"template": "smoke-resize"})
        assert structured(result)["state"] == "completed"
        assert processes_of(state)

    async def none_left() -> bool:
        return not processes_of(state)

    await until(none_left)
    assert list(state.iterdir()) == []


@pytest.mark.parametrize("signaled", [True, False])
async def test_the_end_while_a_worker_starts(tmp_path: Path, signaled: bool) -> None:
    """SIGTERM and closed input end the server also while its worker starts, and no process is left."""
    async with stdio_process(TMPDIR=str(tmp_path)) as server:
        await server.send(json.dumps(HELLO))
        assert json.loads(await server.line())["result"]
        assert server.process.stdin is not None
        if signaled:
            server.process.terminate()
        else:
            server.process.stdin.close()
        assert await asyncio.wait_for(server.process.wait(), 30) == 0

    async def none_left() -> bool:
        return not processes_of(tmp_path)

    await until(none_left)
    assert list(tmp_path.iterdir()) == []


async def test_a_worker_that_cannot_start(tmp_path: Path) -> None:
    """If no worker can be started, every tool says why."""
    async with Client(stdio_command(WORKER_COMFYUI=str(tmp_path / "none"))) as host:
        for _ in range(2):
            result = await host.call_tool("list_templates", {})
            assert result.is_error
            assert text(result).startswith("not_started: no worker could be started")
            assert "doctor" in text(result)


async def test_a_killed_worker_is_an_error(engine: EngineHandle, tmp_path: Path) -> None:
    """If the worker dies in the middle of a job, the call is an error with the id of the job."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "serve", "--port", "0", "--state", tmp_path, "--comfyui", engine.url),
        env=environment(),
        cwd=ROOT,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    while b"listening on" not in (line := await process.stderr.readline()):
        assert line, "the worker did not start"
    url = line.decode().split()[-1]
    async with direct_host(url) as host:
        running = asyncio.Event()

        async def on_progress(_value: float, _total: float | None, message: str | None) -> None:
            if "Pause" in (message or ""):
                running.set()

        call = asyncio.create_task(host.call_tool("generate", LONG, progress_callback=on_progress))
        await asyncio.wait_for(running.wait(), 60)
        process.kill()
        await process.communicate()
        result = await asyncio.wait_for(call, 60)
        later = await host.call_tool("list_templates", {})
    assert result.is_error
    assert text(result).startswith(f"unreachable: no worker responds at {url}")
    assert "call status with this id" in text(result)
    assert text(later).startswith("unreachable:")
    async with asyncio.timeout(60):
        await stop_engine_job(engine)


async def stop_engine_job(engine: EngineHandle) -> None:
    """Interrupt the job that the dead worker left in the shared engine."""
    async with aiohttp.ClientSession() as http:
        while True:
            await (await http.post(f"{engine.url}/interrupt")).read()
            async with http.get(f"{engine.url}/queue") as answer:
                if not (await answer.json())["queue_running"]:
                    return
            await asyncio.sleep(0.05)
