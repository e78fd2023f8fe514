"""The calls of clients of the simulated endpoint, its webhooks, and its control routes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from tests.simulators.runpod.endpoint import PlainEndpoint, exchange, plain_endpoint

WORKER_CALLS = ["job-take/p?gpu=F", "job-take-batch/p?gpu=F&batch_size=2", "job-stop/p?gpu=F", "ping/p?gpu=F"]
CLIENT_CALLS = [
    ("POST", "run"),
    ("POST", "runsync"),
    ("GET", "status/x"),
    ("GET", "status-sync/x"),
    ("GET", "stream/x"),
    ("POST", "cancel/x"),
    ("POST", "retry/x"),
    ("POST", "purge-queue"),
    ("GET", "health"),
    ("GET", "requests"),
]


@pytest.mark.parametrize(("method", "path"), CLIENT_CALLS)
async def test_clients_need_the_key(method: str, path: str) -> None:
    """401 without it or with that of a worker. It may follow `Bearer` or stand alone."""
    async with plain_endpoint() as endpoint:
        worker_key = endpoint.runpod.state.keys.worker
        for key in ("", "Bearer wrong", worker_key):
            status, body = await endpoint.call(method, path, b'{"input": {}}', key)
            assert (status, body) == (401, {"error": "unauthorized"})
        for key in (endpoint.runpod.api_key, f"Bearer {endpoint.runpod.api_key}"):
            data = b'{"input": {}}' if path == "run" else b""
            status, _ = await endpoint.call(method, path, data, key)
            assert status in (200, 400, 404)


@pytest.mark.parametrize("path", WORKER_CALLS)
async def test_workers_need_their_key_bare(path: str) -> None:
    """401 with another one. A take without any is held and gets no job, as one user of RunPod notes."""
    async with plain_endpoint() as endpoint:
        await endpoint.run()
        for key in ("wrong", f"Bearer {endpoint.runpod.state.keys.worker}", endpoint.runpod.api_key):
            assert (await endpoint.call("GET", path, None, key))[0] == 401
        url = f"{endpoint.runpod.endpoint_url}/{path}"
        status, _ = await exchange(endpoint.http, "GET", url, None, {})
        assert status == (204 if "take" in path else 401)


async def test_another_endpoint_is_unknown() -> None:
    """The process serves one endpoint."""
    async with plain_endpoint() as endpoint:
        url = f"{endpoint.runpod.base_url}/other/health"
        status, body = await exchange(endpoint.http, "GET", url, None, {"Authorization": endpoint.runpod.api_key})
        assert (status, body) == (404, {"error": "endpoint not found"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"{}",
        b'{"input": {}, "policy": 1}',
        b'{"input": {}, "policy": {"ttl": -1}}',
        b'{"input": {}, "policy": {"executionTimeout": "5"}}',
    ],
)
async def test_a_bad_request_is_refused(data: bytes) -> None:
    """400 with a message, and nothing is queued."""
    async with plain_endpoint() as endpoint:
        for path in ("run", "runsync"):
            status, body = await endpoint.call("POST", path, data)
            assert status == 400
            assert body["error"].startswith("bad request")
        assert not endpoint.runpod.state.jobs.jobs


@pytest.mark.parametrize("path", ["run", "runsync"])
async def test_a_large_request_is_refused(path: str) -> None:
    """Bodies have the limits of results."""
    async with plain_endpoint(run_limit=100, runsync_limit=100) as endpoint:
        body = json.dumps({"input": "x" * 100}).encode()
        assert (await endpoint.call("POST", path, body))[0] == 400


async def test_runsync_returns_the_state_after_its_wait() -> None:
    """The job goes on, and status-sync waits for its end."""
    async with plain_endpoint() as endpoint:
        status, body = await endpoint.post("runsync?wait=1", {"input": {}})
        assert (status, body["status"]) == (200, "IN_QUEUE")
        job_id = body["id"]
        assert job_id.startswith("sync-")
        worker = endpoint.worker()
        await worker.take()
        waiting = asyncio.create_task(endpoint.get(f"status-sync/{job_id}?wait=20000"))
        await worker.done(job_id, {"output": 1})
        assert (await waiting)[1]["output"] == 1


async def test_purge_cancels_what_is_queued() -> None:
    """Running jobs go on."""
    async with plain_endpoint() as endpoint:
        running, *queued = [await endpoint.run() for _ in range(3)]
        await endpoint.worker().take()
        assert await endpoint.post("purge-queue") == (200, {"removed": 2, "status": "completed"})
        states = [(await endpoint.status(job_id))["status"] for job_id in (running, *queued)]
        assert states == ["IN_PROGRESS", "CANCELLED", "CANCELLED"]


async def test_only_failed_jobs_can_be_retried() -> None:
    """The id stays, the result is gone, and a job in another state is an error."""
    async with plain_endpoint() as endpoint:
        worker = endpoint.worker()
        job_id = await endpoint.run()
        assert (await endpoint.post(f"retry/{job_id}"))[0] == 400
        await worker.take()
        await worker.done(job_id, {"error": "no"})
        assert await endpoint.post(f"retry/{job_id}") == (200, {"id": job_id, "status": "IN_QUEUE"})
        assert await endpoint.status(job_id) == {"id": job_id, "status": "IN_QUEUE"}
        await worker.take()
        await worker.done(job_id, {"output": 1})
        assert (await endpoint.post(f"retry/{job_id}"))[0] == 400


async def test_health_counts_jobs_and_workers() -> None:
    """The counts follow the jobs through their states."""
    async with plain_endpoint() as endpoint:
        worker = endpoint.worker()
        first, _ = await endpoint.run(), await endpoint.run()
        await worker.take()
        _, body = await endpoint.get("health")
        assert body["jobs"] == {"completed": 0, "failed": 0, "inProgress": 1, "inQueue": 1, "retried": 0}
        assert (body["workers"]["running"], body["workers"]["idle"], body["workers"]["ready"]) == (1, 0, 1)
        await worker.done(first, {"output": 1})
        _, body = await endpoint.get("health")
        assert (body["jobs"]["completed"], body["workers"]["idle"]) == (1, 1)


async def test_requests_lists_the_jobs() -> None:
    """Each with its state."""
    async with plain_endpoint() as endpoint:
        job_ids = [await endpoint.run() for _ in range(2)]
        _, body = await endpoint.get("requests")
        assert body == {"requests": [{"id": job_id, "status": "IN_QUEUE"} for job_id in job_ids]}


@asynccontextmanager
async def webhook(*statuses: int) -> AsyncIterator[tuple[str, asyncio.Queue[Any]]]:
    """Serve a webhook that answers these statuses in turn. Yield its URL and the bodies that it gets."""
    bodies: asyncio.Queue[Any] = asyncio.Queue()
    answers = iter(statuses)

    async def receive(request: web.Request) -> web.Response:
        bodies.put_nowait(await request.json())
        return web.Response(status=next(answers))

    app = web.Application()
    app.add_routes([web.post("/hook", receive)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", bodies
    finally:
        await runner.cleanup()


async def ended(endpoint: PlainEndpoint, url: str) -> Any:
    """Run a job with a webhook and return its state."""
    job_id = await endpoint.run(webhook=url)
    worker = endpoint.worker()
    await worker.take()
    await worker.done(job_id, {"output": [1]})
    return await endpoint.status(job_id)


async def test_the_webhook_gets_the_state_and_more_tries() -> None:
    """Anything but 200 is tried again, at most twice."""
    async with webhook(500, 201, 200) as (url, bodies), plain_endpoint(webhook_pause_s=0.01) as endpoint:
        state = await ended(endpoint, url)
        async with asyncio.timeout(10):
            assert [await bodies.get() for _ in range(3)] == [state] * 3
    async with webhook(500, 500, 500) as (url, bodies), plain_endpoint(webhook_pause_s=0.01) as endpoint:
        await ended(endpoint, url)
        async with asyncio.timeout(10):
            for _ in range(3):
                await bodies.get()
        await ended(endpoint, "http://127.0.0.1:9/nothing-listens")
        assert bodies.empty()


async def test_control_by_http() -> None:
    """Faults are set, counts and the log are read, and a worker gets any stop signal."""
    async with plain_endpoint() as endpoint:
        url, worker = f"{endpoint.runpod.url}/control", endpoint.worker()
        rule = {"operation": "job-done", "fault": "status", "status": 503, "times": 1}
        assert await exchange(endpoint.http, "POST", f"{url}/faults", json.dumps(rule).encode(), {}) == (
            200,
            {"rules": 1},
        )
        job_id = await endpoint.run()
        await worker.take()
        assert [await worker.done(job_id, {"output": 1}) for _ in range(2)] == [503, 200]
        _, counts = await exchange(endpoint.http, "GET", f"{url}/jobs", None, {})
        assert (counts[job_id]["accepted"], counts[job_id]["status"]) == (1, "COMPLETED")
        assert (await exchange(endpoint.http, "GET", f"{url}/faults", None, {}))[1] == {"job-done status": 1}
        assert list((await exchange(endpoint.http, "GET", f"{url}/workers", None, {}))[1]) == ["pod0"]
        async with endpoint.http.get(f"{url}/calls") as response:
            rows = [json.loads(line) for line in (await response.text()).splitlines()]
        assert [row["status"] for row in rows if row["path"].startswith("/v2/")] == [200, 200, 503, 200]
        await exchange(endpoint.http, "POST", f"{url}/stop/pod0/unknown-job", b"", {})
        assert await worker.stops() == ["unknown-job"]
        second = await endpoint.run()
        await worker.take()
        await exchange(endpoint.http, "POST", f"{url}/lose/pod0", b"", {})
        assert (await endpoint.status(second))["status"] == "IN_QUEUE"
        await exchange(endpoint.http, "DELETE", f"{url}/calls", None, {})
        assert not endpoint.runpod.calls.calls


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"operation": "job-done", "fault": "nope"},
        {"operation": "nope", "fault": "closed"},
        {"operation": "job-done", "fault": "closed", "x": 1},
    ],
)
async def test_a_wrong_rule_is_refused(rule: dict[str, Any]) -> None:
    """400 with a message, and no fault."""
    async with plain_endpoint() as endpoint:
        url = f"{endpoint.runpod.url}/control/faults"
        status, body = await exchange(endpoint.http, "POST", url, json.dumps(rule).encode(), {})
        assert status == 400
        assert body["error"]
        assert not endpoint.runpod.faults.rules
