"""Starts, failed starts and ends of a worker process."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests import workflows
from tests.engines import EngineHandle
from tests.platforms.conftest import Spawn, deleted, loaded, start_worker
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast, ReportLog, RouterFaultConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def vast() -> AsyncIterator[LocalVast]:
    async with vast_router.serve() as vast:
        yield vast


def reported_error(words: str) -> object:
    """Return a condition that is true once a worker has reported an error with these words."""

    def true(record: ReportLog) -> bool:
        return any(words in status.error_msg for status in record.statuses)

    return true


async def last_output(process: asyncio.subprocess.Process, folder: Path) -> str:
    """Return the error with which a process exited: its last output before the next step (`→ ...`)."""
    async with asyncio.timeout(60):
        code = await process.wait()
    assert code != 0
    lines = (folder / "comfy_worker-0.log").read_text().splitlines()
    return next(line for line in reversed(lines) if "→" not in line)


async def test_loaded_is_reported_at_once(vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path) -> None:
    """The worker is reported as loaded at once, and ignores a score of another image (T4, T11)."""
    for folder in (tmp_path, tmp_path / "state"):
        folder.mkdir(exist_ok=True)
        (folder / ".has_benchmark").write_text("987654321.0")
    await start_worker(spawn, vast, engine, 1, tmp_path / "state")
    await vast.record.until(loaded(1))
    status, kept = vast.record.statuses[-1], tmp_path / "state" / "benchmark.json"
    assert status.at - kept.stat().st_mtime < 6
    assert status.max_perf < 987654321
    assert json.loads(kept.read_text())["engines"]["engine-0"]["speed"] == pytest.approx(status.max_perf)


async def test_a_restart_continues_with_the_speed(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """A restart with the same image and GPU only loads the models, and continues with the speed and the jobs so far."""
    speeds = []
    for _ in range(2):
        process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", WORKER_IMAGE="sha256:a")
        await vast.record.until(loaded(1))
        async with vast.client() as client:
            endpoint = await client.get_endpoint("comfy")
            answer = await endpoint.request("/generate/sync", {"workflow": workflows.picture()}, retry=False)
            assert answer["status"] == 200
        process.terminate()
        await process.wait()
        speeds.append([report.max_perf for report in vast.record.statuses if report.max_perf])
        vast.record.clear()
    first, second = speeds[0][-1], speeds[1][0]
    assert second == pytest.approx(first, rel=0.05)  # it moves by 10 % a minute
    stored = json.loads((tmp_path / "state" / "benchmark.json").read_text())["engines"]["engine-0"]
    assert len(stored["runs"]) == 3  # of the benchmark, and a job of each start
    logs = [(tmp_path / f"comfy_worker-{number}.log").read_text() for number in range(2)]
    assert ["measured by an earlier start" in log for log in logs] == [False, True]


@pytest.mark.parametrize(
    ("env", "name"),
    [
        ({"WORKER_MODELS": "resize"}, "template resize"),
        ({"WORKER_BENCHMARK": "seedvr2-upscale-video"}, "template seedvr2-upscale-video with scale 1.4"),
    ],
)
async def test_a_template_is_the_benchmark(
    vast: LocalVast, spawn: Spawn, tmp_path: Path, engine: EngineHandle, env: dict[str, str], name: str
) -> None:
    """The first template of WORKER_MODELS is measured, or the one of WORKER_BENCHMARK, with sample files as inputs."""
    models = tmp_path / "models"
    await start_worker(spawn, vast, engine, 1, tmp_path / "state", WORKER_MODELS_FOLDER=str(models), **env)
    await vast.record.until(loaded(1))
    assert f"units/s ({name}: " in (tmp_path / "comfy_worker-0.log").read_text()


async def test_the_public_key_is_waited_for(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """A router that is away at first only delays the worker (T8)."""
    vast.configure(RouterFaultConfig(pubkey_status=503))
    await start_worker(spawn, vast, engine, 1, tmp_path / "state")
    with pytest.raises(TimeoutError):
        await vast.record.until(loaded(1), 2.5)
    vast.configure(RouterFaultConfig())
    await vast.record.until(loaded(1))


async def test_without_a_public_key_the_process_ends(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """After `WORKER_PUBKEY_TIMEOUT` the process exits and reports the reason."""
    vast.configure(RouterFaultConfig(pubkey_status=503))
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", WORKER_PUBKEY_TIMEOUT="1")
    assert "no public key from http://127.0.0.1" in await last_output(process, tmp_path)
    await vast.record.until(reported_error("no public key"))


async def test_an_sdk_without_the_key_ends_the_process(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """A request before the SDK has its key goes to another worker. If the key does not come, the process exits."""
    vast.configure(RouterFaultConfig(pubkey_answers=1))
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state")
    await vast.record.until(loaded(1))
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        answer = await endpoint.request("/generate/sync", {"workflow": workflows.picture()}, retry=False)
        assert (answer["status"], answer["response"]["error"]["retryable"]) == (503, True)
        while process.returncode is None:
            await asyncio.sleep(0.3)
            with suppress(TimeoutError, aiohttp.ClientError, RuntimeError):
                await endpoint.request("/generate/sync", {"workflow": workflows.picture()}, timeout=5, retry=False)
    assert "no public key" in await last_output(process, tmp_path)
    await vast.record.until(reported_error("no public key"))


async def test_a_request_before_the_key_does_not_end_the_process(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """A router may send requests at once to a worker that was restarted. They get 503 until the SDK has its key."""
    vast.configure(RouterFaultConfig(pubkey_answers=1))
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state")
    await vast.record.until(loaded(1))
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        answer = await endpoint.request("/generate/sync", {"workflow": workflows.picture()}, retry=False)
        assert answer["status"] == 503
        vast.configure(RouterFaultConfig())
        answer = await endpoint.request("/generate/sync", {"workflow": workflows.picture()}, timeout=60)
    assert answer["status"] == 200
    assert process.returncode is None


async def test_a_worker_that_was_killed_with_jobs_starts_again(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """A restarted worker runs the jobs that it had first, and is ready although they take longer than one response may.

    With tokens of its own and a public address, its benchmark is not rejected.
    """
    env = {
        "WORKER_GATEWAY_HOST": "0.0.0.0",  # noqa: S104 - the test needs a public address
        "WORKER_TOKENS": f"team={'t' * 32}",
        "WORKER_SYNC_LIMIT": "0.5",
        "WORKER_MAX_QUEUE": "2",
    }
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", **env)
    await vast.record.until(loaded(1))
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        jobs = [
            (await endpoint.request("/generate", {"workflow": workflows.slow(1.5, steps=8)}, retry=False))["response"]
            for _ in range(2)
        ]
    process.kill()
    await process.wait()
    vast.record.clear()
    await start_worker(spawn, vast, engine, 1, tmp_path / "state", **env)
    await vast.record.until(loaded(1))
    await vast.record.until(lambda record: record.statuses[-1].cur_load == 0)
    async with aiohttp.ClientSession() as http:
        for job in jobs:
            body = {"id": job["id"], "token": job["token"]}
            async with http.post(f"{vast.record.statuses[-1].url}/result", json=body) as response:
                assert response.status == 200


async def test_an_engine_that_never_answers_ends_the_process(vast: LocalVast, spawn: Spawn, tmp_path: Path) -> None:
    """Without an engine the process exits and reports the reason (T38)."""
    env = {"WORKER_COMFYUI": "http://127.0.0.1:9", "WORKER_ENGINE_START": "0.5", "WORKER_STATE": str(tmp_path)}
    env["WORKER_VAST_HOST"] = "127.0.0.1"
    process = await spawn("comfy_worker.py", {**await vast.worker_env(1), **env})
    assert "ComfyUI did not respond" in await last_output(process, tmp_path)
    await vast.record.until(reported_error("ComfyUI did not respond"))


async def test_a_request_before_the_engine_is_there_goes_elsewhere(
    vast: LocalVast, spawn: Spawn, tmp_path: Path
) -> None:
    """A request before the engine is ready gets 503 and counts as rejected (T12)."""
    env = {"WORKER_COMFYUI": "http://127.0.0.1:9", "WORKER_STATE": str(tmp_path), "WORKER_VAST_HOST": "127.0.0.1"}
    await spawn("comfy_worker.py", {**await vast.worker_env(1), **env})
    await vast.record.until(lambda record: bool(record.reports_of(1)))
    url = vast.record.statuses[-1].url
    grant = {"url": url, "signature": vast.sign(url), "reqnum": 1, "request_idx": 77, "cost": 1, "endpoint": "comfy"}
    body = {"auth_data": grant, "session_id": None, "payload": {"workflow": workflows.picture()}}
    async with aiohttp.ClientSession() as http, http.post(f"{url}/generate/sync", json=body) as response:
        answer = await response.json()
    assert (response.status, answer["error"]["code"]) == (503, "engine_unavailable")
    await vast.record.until(deleted(77))
    await vast.record.until(lambda record: sum(said.rej_load for said in record.statuses) > 0)
    assert all(said.loadtime == said.max_perf == 0 for said in vast.record.statuses)


async def test_a_benchmark_that_fails_ends_the_process(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """A failed benchmark ends the process with the reason (T5)."""
    benchmark = tmp_path / "bad.json"
    benchmark.write_text(json.dumps(workflows.failing()))
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", WORKER_BENCHMARK=str(benchmark))
    last = await last_output(process, tmp_path)
    assert f"the benchmark workflow ({benchmark}) failed: node 3 (EmbeddedFail) raised" in last
    assert "set WORKER_MODELS" in last
    await vast.record.until(reported_error("EmbeddedFail"))


async def test_a_benchmark_that_hangs_ends_the_process(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """A benchmark that exceeds its time limit ends the process (T5)."""
    benchmark = tmp_path / "slow.json"
    benchmark.write_text(json.dumps(workflows.slow(20, steps=200)))
    limits = {"WORKER_BENCHMARK": str(benchmark), "WORKER_BENCHMARK_TIMEOUT": "1"}
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", **limits)
    assert "was not finished within 1 s" in await last_output(process, tmp_path)


async def test_a_port_that_is_taken_ends_the_process(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """A port in use ends the process (T38)."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        places = {"WORKER_PORT": port, f"VAST_TCP_PORT_{port}": port}
        process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", **places)
        assert f"port {port} of 127.0.0.1 cannot be used" in await last_output(process, tmp_path)
    await vast.record.until(reported_error("cannot be used"))


async def test_missing_variables_are_named(vast: LocalVast, spawn: Spawn, tmp_path: Path) -> None:
    """All missing variables are reported at once, with the cure."""
    env = {"CONTAINER_ID": "1", "REPORT_ADDR": vast.url, "MASTER_TOKEN": vast.master_token}
    process = await spawn("comfy_worker.py", env)
    last = await last_output(process, tmp_path)
    assert "PUBLIC_IPADDR, VAST_TCP_PORT_3000 not set: Vast sets them when the template maps the port" in last
    assert [(said.id, said.url, said.error_msg in last) for said in vast.record.statuses] == [(1, "", True)]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("WORKER_TEMPLATES", "/nowhere", "/nowhere"),
        ("WORKER_MODELS", "no-such-template", "there is no template 'no-such-template'"),
        ("WORKER_MAX_QUEUE", "many", "WORKER_MAX_QUEUE='many' is not a valid int"),
        ("WORKER_STATE", "/proc/nowhere", "WORKER_STATE=/proc/nowhere is not writable"),
        ("WORKER_COMFYUI", "/nowhere", "/nowhere is not a ComfyUI folder"),
        ("WORKER_GATEWAY_HOST", "192.0.2.1", "WORKER_TOKENS"),
    ],
)
async def test_a_failure_before_the_sdk_is_reported_once(
    vast: LocalVast, spawn: Spawn, tmp_path: Path, variable: str, value: str, words: str
) -> None:
    """A failure before the SDK exists is reported once, with the log's message."""
    env = {**await vast.worker_env(1), "WORKER_STATE": str(tmp_path / "state"), variable: value}
    process = await spawn("comfy_worker.py", env)
    assert words in await last_output(process, tmp_path)
    [said] = vast.record.statuses
    assert words in said.error_msg
    assert (said.id, said.url.partition(":")[0], said.loadtime) == (1, "http", 0)


async def test_a_gateway_port_in_use_is_reported_once(vast: LocalVast, spawn: Spawn, tmp_path: Path) -> None:
    """A gateway port in use is reported once, as an expected error."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {**await vast.worker_env(1), "WORKER_STATE": str(tmp_path / "state"), "WORKER_GATEWAY_PORT": str(port)}
        process = await spawn("comfy_worker.py", env)
        assert f"cannot listen on 127.0.0.1:{port}" in await last_output(process, tmp_path)
    assert [f"cannot listen on 127.0.0.1:{port}" in said.error_msg for said in vast.record.statuses] == [True]


async def test_a_worker_that_is_stopped_drains(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """After SIGTERM the running job finishes, new ones go elsewhere, and all numbers are deleted."""
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state")
    await vast.record.until(loaded(1))
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        request = endpoint.request("/generate/sync", {"workflow": workflows.slow(2.5, steps=5)})
        await vast.record.until(lambda record: record.statuses[-1].cur_load > 0)
        process.terminate()
        await asyncio.sleep(0.3)
        refused = await endpoint.request("/generate/sync", {"workflow": workflows.picture()}, retry=False)
        answer = await request
    assert (refused["status"], refused["response"]["error"]["code"]) == (503, "draining")
    assert answer["response"]["status"] == "success"
    async with asyncio.timeout(60):
        assert await process.wait() == 0
    await vast.record.until(deleted(answer["request_idx"]))
    await vast.record.until(deleted(refused["request_idx"]))
    numbers = [gone.request_idx for gone in vast.record.deletions]
    assert sorted(numbers) == sorted({answer["request_idx"], refused["request_idx"]})
