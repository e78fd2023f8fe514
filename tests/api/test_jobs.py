"""Cancellation, disconnects and access to jobs."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle
from tests.inputs.files import loading, noise
from tests.workflows import picture, slow


async def test_cancel_frees_the_engine_for_the_next_job(client: Client) -> None:
    """Cancelling a running job interrupts it at the next step, and the next job starts."""
    _, first = await client.post("/generate", {"workflow": slow(30, steps=300)})
    await client.state(first, "generating")
    status, body = await client.delete(f"/jobs/{first['id']}", first["token"])
    assert (status, body["cancelled"], body["status"]) == (200, True, "cancelled")
    async with asyncio.timeout(60):
        status, _ = await client.post("/generate/sync", {"workflow": picture()})
    assert status == 200
    status, body = await client.get(f"/jobs/{first['id']}", first["token"])
    assert (status, body["error"]["code"]) == (499, "cancelled")


async def test_cancel_reaches_exactly_the_queued_prompt(client: Client, engine: EngineHandle) -> None:
    """Cancelling a waiting job removes only its prompt from ComfyUI's queue."""
    _, running = await client.post("/generate", {"workflow": slow(0.6)})
    await client.state(running, "generating")
    _, queued = await client.post("/generate", {"workflow": slow(0.1)})
    await client.state(queued, "waiting")
    _, behind = await client.post("/generate", {"workflow": slow(0.1)})
    assert (await client.delete(f"/jobs/{queued['id']}", queued["token"]))[1]["cancelled"] is True
    await client.state(running, "completed")
    await client.state(behind, "completed")
    async with client.http.get(engine.url + "/queue") as answer:
        queue = await answer.json()
    assert queue == {"queue_running": [], "queue_pending": []}


async def test_success_after_a_cancel_is_still_cancelled(client: Client) -> None:
    """A cancelled job stays cancelled even if its node finishes successfully."""
    _, job = await client.post("/generate", {"workflow": slow(0.5)})
    await client.state(job, "generating")
    status, body = await client.delete(f"/jobs/{job['id']}", job["token"])
    assert (status, body["status"]) == (200, "cancelled")
    await asyncio.sleep(0.7)  # until ComfyUI has said success
    assert (await client.get(f"/jobs/{job['id']}", job["token"]))[1]["error"]["code"] == "cancelled"


async def test_cancel_without_the_token_finds_nothing(client: Client) -> None:
    """Cancelling with the id alone is 404."""
    _, job = await client.post("/generate", {"workflow": slow(0.2), "id": "known"})
    assert (await client.delete("/jobs/known", "wrong"))[0] == 404
    assert (await client.post("/cancel/known", {}))[0] == 404
    await client.state(job, "completed")


async def test_cancelling_an_ended_job_says_so(client: Client) -> None:
    """Cancelling an ended job returns `cancelled: false`."""
    _, job = await client.post("/generate", {"workflow": picture()})
    await client.state(job, "completed")
    body = (await client.delete(f"/jobs/{job['id']}", job["token"]))[1]
    assert (body["cancelled"], body["status"]) == (False, "completed")


async def leave_early(client: Client, body: dict) -> None:
    """Start a job and disconnect while it runs."""
    await client.app.engines.catalog()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.3)) as impatient:
        try:
            await impatient.post(client.app.url + "/generate/sync", json=body)
        except TimeoutError:
            return
    raise AssertionError("the job was too quick to leave it")


async def queue_length(client: Client, engine: EngineHandle) -> int:
    """Return the length of ComfyUI's queue."""
    async with client.http.get(engine.url + "/prompt") as answer:
        return (await answer.json())["exec_info"]["queue_remaining"]


async def test_hanging_up_cancels_the_job_after_its_grace(engine: EngineHandle, tmp_path: Path) -> None:
    """A job is cancelled after the grace period when its only client disconnects."""
    async with worker(engine, tmp_path, hangup_grace_s=0.2) as client:
        await leave_early(client, {"workflow": slow(30, steps=300)})
        assert client.app.manager.admission.load.jobs == 1
        await asyncio.sleep(0.5)
        assert client.app.manager.admission.load.jobs == 0
        assert await queue_length(client, engine) == 0


async def test_hanging_up_keeps_a_job_with_an_id(engine: EngineHandle, tmp_path: Path) -> None:
    """A job with an id of the client continues after a disconnect."""
    async with worker(engine, tmp_path, hangup_grace_s=0.1) as client:
        request = {"workflow": slow(0.8), "id": "back"}
        await leave_early(client, request)
        await asyncio.sleep(0.3)
        status, _ = await client.post("/generate/sync", request)
        assert status == 200


async def test_output_of_another_job_is_not_there(client: Client) -> None:
    """An output opens only with the token of its job and an existing index."""
    _, job = await client.post("/generate", {"workflow": picture()})
    await client.state(job, "completed")
    for index, token, status in (("0", job["token"], 200), ("0", "", 404), ("7", job["token"], 404), ("..", "", 404)):
        async with client.http.get(f"{client.app.url}/jobs/{job['id']}/outputs/{index}?token={token}") as answer:
            assert answer.status == status


async def test_results_are_forgotten_after_their_time(engine: EngineHandle, tmp_path: Path) -> None:
    """After WORKER_RESULT_TTL the files, events and record of a job are removed."""
    async with worker(engine, tmp_path, result_ttl_s=0.2) as client:
        _, job = await client.post("/generate", {"workflow": picture()})
        await client.state(job, "completed")
        await asyncio.sleep(0.4)
        assert (await client.get(f"/jobs/{job['id']}", job["token"]))[0] == 404
        assert not any((tmp_path / "outputs").iterdir())


async def test_full_queue_is_429_with_the_time_to_come_back(engine: EngineHandle, tmp_path: Path) -> None:
    """A request above WORKER_MAX_QUEUE gets 429 with Retry-After."""
    async with worker(engine, tmp_path, max_queue=2) as client:
        jobs = [(await client.post("/generate", {"workflow": slow(0.3)}))[1] for _ in range(2)]
        async with client.http.post(client.app.url + "/generate", json={"workflow": picture()}) as answer:
            body = await answer.json()
            assert (answer.status, body["error"]["code"]) == (429, "queue_full")
            assert float(answer.headers["Retry-After"]) >= 1
        for job in jobs:
            await client.state(job, "completed")
        assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200


async def test_queue_info_counts_by_stage(client: Client) -> None:
    """`/queue-info` counts jobs by stage."""
    _, job = await client.post("/generate", {"workflow": slow(0.4)})
    await client.state(job, "generating")
    _, body = await client.get("/queue-info")
    assert body == {"preprocess_queue_size": 0, "generation_queue_size": 1, "postprocess_queue_size": 0}


async def running(client: Client, job: dict) -> dict:
    """Return the state of a job once its node has finished a step."""
    async with asyncio.timeout(60):
        while True:
            status, body = await client.get(f"/jobs/{job['id']}", job["token"])
            assert (status, body["status"]) == (202, "pending")
            if body["step"] is not None:
                return body
            await asyncio.sleep(0.02)


async def test_a_running_job_says_how_far_it_is(client: Client) -> None:
    """The state of a running job has node, class, title and steps, in each dialect."""
    _, job = await client.post("/generate", {"workflow": slow(30, steps=300)})
    body = await running(client, job)
    assert (body["state"], body["position"]) == ("generating", 0)
    assert body["node"] == {"node_id": "3", "class_type": "EmbeddedSleep", "title": "Pause"}
    assert 1 <= body["step"]["value"] < body["step"]["max"] == 300
    _, stock = await client.get(f"/result/{job['id']}", job["token"])
    assert (stock["state"], stock["node"], stock["step"]["max"]) == ("generating", body["node"], 300)
    await client.delete(f"/jobs/{job['id']}", job["token"])
    _, runpod = await client.post("/generate", {"input": {"workflow": slow(30, steps=300)}})
    assert (await running(client, runpod))["node"] == body["node"]
    await client.delete(f"/jobs/{runpod['id']}", runpod["token"])


async def test_a_waiting_job_says_how_many_run_before_it(engine: EngineHandle, tmp_path: Path) -> None:
    """The position of a waiting job counts jobs inside and outside ComfyUI, and decreases."""
    async with worker(engine, tmp_path, queue_ahead=1) as client:
        jobs = [(await client.post("/generate", {"workflow": slow(30, steps=300)}))[1] for _ in range(4)]
        await running(client, jobs[0])
        found = [(await client.get(f"/jobs/{job['id']}", job["token"]))[1] for job in jobs]
        assert [body["position"] for body in found] == [0, 1, 2, 3]
        assert [body["state"] for body in found] == ["generating", "waiting", "waiting", "waiting"]
        assert [body["node"] for body in found[1:]] == [None, None, None]
        await client.delete(f"/jobs/{jobs[1]['id']}", jobs[1]["token"])
        _, last = await client.get(f"/jobs/{jobs[3]['id']}", jobs[3]["token"])
        assert last["position"] == 2
        for job in jobs:
            await client.delete(f"/jobs/{job['id']}", job["token"])


async def test_head_of_a_large_result_sends_no_body(client: Client) -> None:
    """Otherwise the next request on the connection would get the body as its response."""
    workflow = loading("large.png")
    workflow["3"] = workflow["2"]
    _, job = await client.post(
        "/generate", {"workflow": workflow, "inputs": {"large.png": base64.b64encode(noise(500)).decode()}}
    )
    await client.state(job, "completed")
    url, connector = f"{client.app.url}/jobs/{job['id']}", aiohttp.TCPConnector(limit=1)
    async with (
        aiohttp.ClientSession(connector=connector, headers=bearer(job["token"])) as http,
        http.head(url) as head,
        http.get(url) as answer,
    ):
        assert (head.status, answer.status) == (200, 200)
        assert int(head.headers["Content-Length"]) == len(await answer.read()) > 1024 * 1024


async def test_a_request_for_a_job_waits_for_its_end(client: Client) -> None:
    """`?wait_s=` returns the result as soon as the job has ended, or 202 after the seconds, and the job goes on."""
    _, job = await client.post("/generate", {"workflow": slow(1, steps=10)})
    status, body = await client.get(f"/jobs/{job['id']}?wait_s=0.05", job["token"])
    assert (status, body["status"]) == (202, "pending")
    status, body = await client.get(f"/jobs/{job['id']}?wait_s=60", job["token"])
    assert (status, body["status"]) == (200, "success")
    assert (await client.get(f"/jobs/{job['id']}?wait_s=60", job["token"]))[0] == 200


@pytest.mark.parametrize("text", ["", "0", "-1", "nan", "1e2", "301", "١", "9" * 5000])
async def test_a_wait_that_is_no_number_of_seconds_is_rejected(client: Client, text: str) -> None:
    """The message names the query parameter."""
    _, job = await client.post("/generate", {"workflow": picture()})
    status, body = await client.get(f"/jobs/{job['id']}?wait_s={text}", job["token"])
    assert (status, body["error"]["code"]) == (400, "invalid_field")
    assert "wait_s" in body["error"]["message"]
