"""How a worker starts, how it fails to, and how it ends: each time a process of its own."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
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


def told(words: str) -> object:
    """True once a worker has reported an error with these words."""

    def true(record: ReportLog) -> bool:
        return any(words in status.error_msg for status in record.statuses)

    return true


async def ended(process: asyncio.subprocess.Process, folder: Path) -> str:
    """What a process that gave up said last."""
    async with asyncio.timeout(25):
        code = await process.wait()
    assert code != 0
    return (folder / "comfy_worker-0.log").read_text().splitlines()[-1]


async def test_loaded_is_told_at_once(vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path) -> None:
    """The SDK may say so up to 11 s late (T11); a stale score of another image says nothing (T4)."""
    for folder in (tmp_path, tmp_path / "state"):
        folder.mkdir(exist_ok=True)
        (folder / ".has_benchmark").write_text("987654321.0")
    await start_worker(spawn, vast, engine, 1, tmp_path / "state")
    await vast.record.until(loaded(1))
    status, kept = vast.record.statuses[-1], tmp_path / "state" / "benchmark.json"
    assert status.at - kept.stat().st_mtime < 6
    assert status.max_perf < 987654321
    assert json.loads(kept.read_text())["score"] == status.max_perf


async def test_a_known_score_is_not_measured_again(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """Started again with the same image and GPU it only warms up, and tells the same score."""
    for number in range(2):
        process = await start_worker(spawn, vast, engine, number, tmp_path / "state", WORKER_IMAGE="sha256:a")
        await vast.record.until(loaded(number))
        process.terminate()
        await process.wait()
    first, second = (vast.record.of(number)[-1].max_perf for number in range(2))
    assert first == second
    logs = [(tmp_path / f"comfy_worker-{number}.log").read_text() for number in range(2)]
    assert ["measured by an earlier start" in log for log in logs] == [False, True]


async def test_the_public_key_is_waited_for(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """A router that is away at boot delays the worker and nothing else (T8)."""
    vast.configure(RouterFaultConfig(pubkey_status=503))
    await start_worker(spawn, vast, engine, 1, tmp_path / "state")
    with pytest.raises(TimeoutError):
        await vast.record.until(loaded(1), 2.5)
    vast.configure(RouterFaultConfig())
    await vast.record.until(loaded(1))


async def test_without_a_public_key_the_process_ends(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """After `WORKER_PUBKEY_TIMEOUT` it says what it asked for, to its log and to the autoscaler."""
    vast.configure(RouterFaultConfig(pubkey_status=503))
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", WORKER_PUBKEY_TIMEOUT="1")
    assert "no public key from http://127.0.0.1" in await ended(process, tmp_path)
    await vast.record.until(told("no public key"))


async def test_an_sdk_without_the_key_ends_the_process(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """It would answer 401 for ever while it counts as ready; the client is sent to another worker instead."""
    vast.configure(RouterFaultConfig(pubkey_answers=1))
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state")
    await vast.record.until(loaded(1))
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        answer = await endpoint.request("/generate/sync", {"workflow": workflows.picture()}, retry=False)
    assert (answer["status"], answer["response"]["error"]["retryable"]) == (503, True)
    assert "no public key" in await ended(process, tmp_path)
    await vast.record.until(told("no public key"))


async def test_an_engine_that_never_answers_ends_the_process(vast: LocalVast, spawn: Spawn, tmp_path: Path) -> None:
    """Not loaded, not half loaded: the autoscaler is told why, and the process is there to be started again (T38)."""
    env = {"WORKER_COMFYUI": "http://127.0.0.1:9", "WORKER_ENGINE_START": "0.5", "WORKER_STATE": str(tmp_path)}
    env["WORKER_VAST_HOST"] = "127.0.0.1"
    process = await spawn("comfy_worker.py", {**await vast.worker_env(1), **env})
    assert "ComfyUI did not answer" in await ended(process, tmp_path)
    await vast.record.until(told("ComfyUI did not answer"))


async def test_a_request_before_the_engine_is_there_goes_elsewhere(
    vast: LocalVast, spawn: Spawn, tmp_path: Path
) -> None:
    """The port is open from the start (T12): 503, told as rejected, and the request's number is given back."""
    env = {"WORKER_COMFYUI": "http://127.0.0.1:9", "WORKER_STATE": str(tmp_path), "WORKER_VAST_HOST": "127.0.0.1"}
    await spawn("comfy_worker.py", {**await vast.worker_env(1), **env})
    await vast.record.until(lambda record: bool(record.of(1)))
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
    """The SDK would count as loaded with a speed of 0 (T5); here the reason is the gateway's own."""
    benchmark = tmp_path / "bad.json"
    benchmark.write_text(json.dumps(workflows.failing()))
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", WORKER_BENCHMARK=str(benchmark))
    last = await ended(process, tmp_path)
    assert "the benchmark workflow failed (422): node 3 (EmbeddedFail) raised" in last
    await vast.record.until(told("EmbeddedFail"))


async def test_a_benchmark_that_hangs_ends_the_process(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """The SDK's own has no time limit at all (T5)."""
    benchmark = tmp_path / "slow.json"
    benchmark.write_text(json.dumps(workflows.slow(20, steps=200)))
    limits = {"WORKER_BENCHMARK": str(benchmark), "WORKER_BENCHMARK_TIMEOUT": "1"}
    process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", **limits)
    assert "was not finished within 1 s" in await ended(process, tmp_path)


async def test_a_port_that_is_taken_ends_the_process(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """The SDK would stay alive, listening nowhere, and report an error every ten seconds (T38)."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        places = {"WORKER_PORT": port, f"VAST_TCP_PORT_{port}": port}
        process = await start_worker(spawn, vast, engine, 1, tmp_path / "state", **places)
        assert f"port {port} of 127.0.0.1 cannot be used" in await ended(process, tmp_path)
    await vast.record.until(told("cannot be used"))


async def test_missing_variables_are_named(vast: LocalVast, spawn: Spawn, tmp_path: Path) -> None:
    """All of them at once, with the cure, to the autoscaler too; the SDK would die of the first KeyError."""
    env = {"CONTAINER_ID": "1", "REPORT_ADDR": vast.url, "MASTER_TOKEN": vast.master_token}
    process = await spawn("comfy_worker.py", env)
    last = await ended(process, tmp_path)
    assert "PUBLIC_IPADDR, VAST_TCP_PORT_3000 not set: Vast sets them where the template maps the port" in last
    assert [(said.id, said.url, said.error_msg in last) for said in vast.record.statuses] == [(1, "", True)]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("WORKER_TEMPLATES", "/nowhere", "/nowhere"),
        ("WORKER_MODELS", "no-such-template", "there is no template 'no-such-template'"),
        ("WORKER_MAX_QUEUE", "many", "WORKER_MAX_QUEUE='many' is not a valid int"),
        ("WORKER_STATE", "/proc/nowhere", "WORKER_STATE=/proc/nowhere can't be written"),
        ("WORKER_COMFYUI", "/nowhere", "/nowhere is no ComfyUI folder"),
        ("WORKER_GATEWAY_HOST", "192.0.2.1", "WORKER_TOKENS"),
    ],
)
async def test_what_keeps_the_worker_from_being_built_is_told_once(
    vast: LocalVast, spawn: Spawn, tmp_path: Path, variable: str, value: str, words: str
) -> None:
    """In the same words as in the log, before there is any SDK to say it."""
    env = {**await vast.worker_env(1), "WORKER_STATE": str(tmp_path / "state"), variable: value}
    process = await spawn("comfy_worker.py", env)
    assert words in await ended(process, tmp_path)
    [said] = vast.record.statuses
    assert words in said.error_msg
    assert (said.id, said.url.partition(":")[0], said.loadtime) == (1, "http", 0)


async def test_a_gateway_port_that_is_taken_is_told_once(vast: LocalVast, spawn: Spawn, tmp_path: Path) -> None:
    """Not an unexpected error, though the system raised it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        env = {**await vast.worker_env(1), "WORKER_STATE": str(tmp_path / "state"), "WORKER_GATEWAY_PORT": str(port)}
        process = await spawn("comfy_worker.py", env)
        assert f"cannot listen on 127.0.0.1:{port}" in await ended(process, tmp_path)
    assert [f"cannot listen on 127.0.0.1:{port}" in said.error_msg for said in vast.record.statuses] == [True]


async def test_a_worker_that_is_stopped_drains(
    vast: LocalVast, spawn: Spawn, engine: EngineHandle, tmp_path: Path
) -> None:
    """After SIGTERM the running job is finished and answered, new ones go elsewhere, every number is given back."""
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
    async with asyncio.timeout(25):
        assert await process.wait() == 0
    await vast.record.until(deleted(answer["request_idx"]))
    await vast.record.until(deleted(refused["request_idx"]))
    numbers = [gone.request_idx for gone in vast.record.deletions]
    assert sorted(numbers) == sorted({answer["request_idx"], refused["request_idx"]})
