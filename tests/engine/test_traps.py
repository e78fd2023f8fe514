"""Tests of ComfyUI's races and traps, each reproduced on an embedded engine."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle, start_engine
from tests.relay import Proxy
from tests.workflows import picture, slow


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[EngineHandle]:
    """An engine that a test may kill."""
    with start_engine(tmp_path / "engine") as handle:
        yield handle


async def engine_get(client: Client, engine: EngineHandle, path: str) -> dict:
    async with client.http.get(engine.url + path) as answer:
        return await answer.json()


async def running_item(client: Client, engine: EngineHandle) -> list:
    [item] = (await engine_get(client, engine, "/queue"))["queue_running"]
    return item


async def result(client: Client, job: dict) -> tuple[int, dict]:
    """The job's end, waited for by its events."""
    url = f"{client.app.url}/jobs/{job['id']}/events?token={job['token']}"
    async with asyncio.timeout(60), client.http.get(url) as stream:
        await stream.read()
    return await client.get(f"/jobs/{job['id']}", job["token"])


async def test_deaf_socket_is_noticed_and_replaced(engine: EngineHandle, tmp_path: Path) -> None:
    """A run finds its end by polling when another WebSocket takes its frames, and reconnects."""
    async with worker(engine, tmp_path, silence_s=0.2) as client:
        _, job = await client.post("/generate", {"workflow": slow(0.6)})
        await client.state(job, "generating")
        client_id = (await running_item(client, engine))[3]["client_id"]
        async with client.http.ws_connect(f"{engine.url}/ws?clientId={client_id}"):
            assert (await result(client, job))[0] == 200
        _, job = await client.post("/generate", {"workflow": slow(0.2, steps=2)})
        url = f"{client.app.url}/jobs/{job['id']}/events?token={job['token']}"
        async with client.http.get(url) as stream:
            assert b"event: step" in await stream.read()


async def test_silent_deletion_is_noticed(engine: EngineHandle, tmp_path: Path) -> None:
    """A job whose prompt was deleted from ComfyUI's queue ends with a retryable error."""
    async with worker(engine, tmp_path, silence_s=0.2) as client:
        _, running = await client.post("/generate", {"workflow": slow(0.8)})
        await client.state(running, "generating")
        _, waiting = await client.post("/generate", {"workflow": picture()})
        await client.state(waiting, "waiting")
        while not (pending := (await engine_get(client, engine, "/queue"))["queue_pending"]):
            await asyncio.sleep(0.01)
        await client.http.post(engine.url + "/queue", json={"delete": [pending[0][1]]})
        status, body = await result(client, waiting)
        assert (status, body["error"]["code"]) == (503, "removed_by_operator")
        assert (await result(client, running))[0] == 200


async def test_foreign_interrupt_is_no_success(client: Client, engine: EngineHandle) -> None:
    """A job that another client interrupts ends with an error."""
    _, job = await client.post("/generate", {"workflow": slow(20, steps=200)})
    await client.state(job, "generating")
    await client.http.post(engine.url + "/interrupt", json={})
    status, body = await result(client, job)
    assert (status, body["error"]["code"]) == (503, "removed_by_operator")


async def test_partly_valid_prompt_is_refused_and_not_run(client: Client, engine: EngineHandle) -> None:
    """A prompt that ComfyUI accepts in part is rejected and removed."""
    workflow = slow(20, steps=200)
    workflow["7"] = {"class_type": "EmptyImage", "inputs": {"width": -1, "height": 8, "batch_size": 1, "color": 0}}
    workflow["8"] = {"class_type": "SaveImage", "inputs": {"images": ["7", 0], "filename_prefix": "bad"}}
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert (status, body["error"]["code"]) == (422, "invalid_workflow")
    assert "7" in {detail["node_id"] for detail in body["error"]["details"]}
    async with asyncio.timeout(60):
        while (await engine_get(client, engine, "/prompt"))["exec_info"]["queue_remaining"]:
            await asyncio.sleep(0.02)


async def test_cached_answer_gives_each_job_its_own_file(client: Client, engine: EngineHandle) -> None:
    """Two identical jobs have their own files, even after ComfyUI's file is deleted."""
    name = f"cached-{uuid.uuid4().hex}"
    request = {"workflow": picture(prefix=name, color=7), "output_format": "url"}
    bodies = [(await client.post("/generate/sync", request))[1] for _ in range(2)]
    for file in engine.output.glob(f"{name}*"):
        file.unlink()
    for body in bodies:
        async with client.http.get(body["image"]) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("shared", [True, False], ids=["shared folders", "over HTTP"])
async def test_cached_file_that_is_gone_is_made_again(engine: EngineHandle, tmp_path: Path, shared: bool) -> None:
    """A job writes a cached file again when it was deleted."""
    folders = {} if shared else {"comfyui_output": None}
    async with worker(engine, tmp_path, **folders) as client:
        name = f"gone-{uuid.uuid4().hex}"
        request = {"workflow": picture(prefix=name, color=8)}
        await client.post("/generate/sync", request)
        for file in engine.output.glob(f"{name}*"):
            file.unlink()
        status, body = await client.post("/generate/sync", request)
        assert (status, body["status"]) == (200, "success"), body
        assert body["outputs"][0]["filename"].startswith(name)


async def test_jobs_survive_a_restart_of_comfyui(mortal: EngineHandle, tmp_path: Path) -> None:
    """The running and the waiting job are sent again once after ComfyUI was killed."""
    async with worker(mortal, tmp_path) as client:
        jobs = [(await client.post("/generate", {"workflow": slow(0.5)}))[1] for _ in range(3)]
        await client.state(jobs[0], "generating")
        mortal.kill()
        mortal.restart()
        for job in jobs:
            assert (await result(client, job))[0] == 200
        history = await engine_get(client, mortal, "/history")
        assert len(history) == 3


async def test_an_engine_that_stays_away_ends_the_job(mortal: EngineHandle, tmp_path: Path) -> None:
    """A job ends with EngineUnavailable when ComfyUI stays down for the set time."""
    async with worker(mortal, tmp_path, engine_lost_s=1.0) as client:
        _, job = await client.post("/generate", {"workflow": slow(5)})
        await client.state(job, "generating")
        mortal.kill()
        status, body = await result(client, job)
        assert (status, body["error"]["code"], body["error"]["retryable"]) == (503, "engine_unavailable", True)


async def test_dead_worker_thread_is_noticed(mortal: EngineHandle, tmp_path: Path) -> None:
    """A job ends with an error when ComfyUI's worker thread is dead."""
    async with worker(mortal, tmp_path, silence_s=0.2) as client:
        _, running = await client.post("/generate", {"workflow": slow(1.0)})
        await client.state(running, "generating")
        prompt_id = str(uuid.uuid4())
        for color in (1, 2, 3):  # with three in its heap, ComfyUI has to compare two of them
            body = {"prompt": picture(color=color), "prompt_id": prompt_id, "number": -5, "client_id": "x"}
            await client.http.post(mortal.url + "/prompt", json=body)
        await result(client, running)
        status, body = await client.post("/generate/sync", {"workflow": picture()})
        assert (status, body["error"]["code"]) == (503, "engine_unavailable")


async def test_every_submission_has_an_id_of_its_own(client: Client, engine: EngineHandle) -> None:
    """Two jobs never have the same prompt id."""
    _, first = await client.post("/generate", {"workflow": slow(0.4), "id": "not-a-uuid"})
    _, second = await client.post("/generate", {"workflow": slow(0.1)})
    await client.state(first, "generating")
    queue = await engine_get(client, engine, "/queue")
    ids = [item[1] for item in queue["queue_running"] + queue["queue_pending"]]
    assert all(str(uuid.UUID(prompt_id)) == prompt_id for prompt_id in ids)
    assert len(set(ids)) == len(ids)
    assert (await result(client, first))[0] == 200
    assert (await result(client, second))[0] == 200


async def test_the_next_job_already_waits_inside_comfyui(client: Client, engine: EngineHandle) -> None:
    """Some waiting jobs are in ComfyUI's queue while one runs."""
    jobs = [(await client.post("/generate", {"workflow": slow(0.5)}))[1] for _ in range(6)]
    await client.state(jobs[0], "generating")
    async with asyncio.timeout(60):
        while (await engine_get(client, engine, "/prompt"))["exec_info"]["queue_remaining"] < 3:
            await asyncio.sleep(0.01)
    assert (await engine_get(client, engine, "/prompt"))["exec_info"]["queue_remaining"] == 3
    for job in jobs:
        await client.delete(f"/jobs/{job['id']}", job["token"])


async def test_a_burst_of_quick_jobs_loses_none(client: Client) -> None:
    """A burst of quick jobs has all results although ComfyUI writes its history late."""
    answers = await asyncio.gather(*(client.post("/generate/sync", {"workflow": picture()}) for _ in range(60)))
    assert [status for status, _ in answers] == [200] * 60
    assert len({body["outputs"][0]["filename"] for _, body in answers}) == 60


async def test_lost_socket_without_a_lost_engine(mortal: EngineHandle, tmp_path: Path) -> None:
    """A running job is not sent twice when only the WebSocket breaks."""
    async with Proxy(mortal) as proxy, worker(mortal, tmp_path, comfyui=proxy.url, silence_s=60.0) as client:
        _, job = await client.post("/generate", {"workflow": slow(0.6)})
        await client.state(job, "generating")
        await proxy.break_sockets()
        assert (await result(client, job))[0] == 200
        assert len(await engine_get(client, mortal, "/history")) == 1
