"""What the proxy does when a backend refuses a job, does not respond, or loses a job."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle, start_engine
from tests.proxy.running import ProxyClient, free_port, proxy, worker_process
from tests.workflows import picture, slow

ROUTE = """
[[routes]]
backends = {first = 1}
fallback = ["second"]
"""


def toml(first: str, second: str, options: str = "") -> str:
    """Return a configuration that prefers the first backend. `options` are those of the first."""
    return f'''
[[backends]]
name = "first"
url = "{first}"
{options}
[[backends]]
name = "second"
url = "{second}"
{ROUTE}'''


@asynccontextmanager
async def two_workers(tmp_path: Path, engine: EngineHandle, **first: object) -> AsyncIterator[tuple[Client, Client]]:
    """Run two workers. The second one has the shared engine."""
    with start_engine(tmp_path / "engine") as own_engine:
        async with worker(own_engine, tmp_path / "a", **first) as a, worker(engine, tmp_path / "b") as b:
            yield a, b


async def backend_of(client: ProxyClient, body: object) -> tuple[int, str, str]:
    """Send a job. Return the status, the backend that ran it, and the number of backends that were asked."""
    async with client.http.post(client.url + "/generate/sync", json=body) as answer:
        await answer.read()
        return answer.status, answer.headers["X-Comfy-Backend"], answer.headers["X-Comfy-Attempts"]


async def test_a_full_queue_sends_jobs_elsewhere(tmp_path: Path, engine: EngineHandle) -> None:
    """A backend that returns 429 does not get the job, and the caller does not notice."""
    async with (
        two_workers(tmp_path, engine, max_queue=1) as (a, b),
        proxy(tmp_path / "proxy", toml=toml(a.app.url, b.app.url)) as client,
    ):
        assert await backend_of(client, {"workflow": picture()}) == (200, "first", "1")
        _, running = await client.post("/generate", {"workflow": slow(30, 300)})
        assert await backend_of(client, {"workflow": picture()}) == (200, "second", "2")
        await client.delete(f"/jobs/{running['id']}", running["token"])


async def test_a_long_queue_sends_jobs_elsewhere(tmp_path: Path, engine: EngineHandle) -> None:
    """Above `max_queue` waiting jobs, new ones go to the fallback without being refused first."""
    async with (
        two_workers(tmp_path, engine) as (a, b),
        proxy(tmp_path / "proxy", toml=toml(a.app.url, b.app.url, "max_queue = 1")) as client,
    ):
        jobs = [(await client.post("/generate", {"workflow": slow(30, 300)}))[1] for _ in range(3)]
        async with asyncio.timeout(30):
            while (await client.get("/capabilities"))[1]["backends"][0]["load"]["queued"] < 2:
                await asyncio.sleep(0.1)
        assert await backend_of(client, {"workflow": picture()}) == (200, "second", "1")
        for job in jobs:
            await client.delete(f"/jobs/{job['id']}", job["token"])


async def test_an_unreachable_backend_is_skipped(tmp_path: Path, engine: EngineHandle) -> None:
    """Nothing was accepted there, so that another backend gets the job at once."""
    async with (
        worker(engine, tmp_path / "b") as b,
        proxy(tmp_path / "proxy", toml=toml(f"http://127.0.0.1:{free_port()}", b.app.url)) as client,
    ):
        assert (await backend_of(client, {"workflow": picture()}))[:2] == (200, "second")
        _, job = await client.post("/generate", {"workflow": picture()})
        assert (await client.result(job))[0] == 200


async def test_no_backend_responds(tmp_path: Path) -> None:
    """The caller gets 503 with the reason, and nothing is left behind."""
    async with proxy(tmp_path / "proxy", f"http://127.0.0.1:{free_port()}") as client:
        for route in ("/generate/sync", "/generate", "/generate/stream"):
            status, body = await client.post(route, {"workflow": picture()})
            assert (status, body["error"]["code"], body["error"]["retryable"]) == (503, "no_backend", True)
            assert "no connection" in body["error"]["message"]
        assert client.app.jobs.open_jobs == 0


@pytest.mark.parametrize("route", ["/generate/sync", "/generate"])
async def test_a_job_of_a_lost_backend_runs_elsewhere(tmp_path: Path, engine: EngineHandle, route: str) -> None:
    """A backend that was killed and stays away has lost its jobs. The answer says that they were sent again."""
    async with worker_process(tmp_path / "a") as first, worker(engine, tmp_path / "b") as second:
        options = toml(first.url, second.app.url, "lost_after_s = 1")
        async with proxy(tmp_path / "proxy", toml=options) as client:
            sent = asyncio.create_task(client.post(route, {"workflow": slow(3, 30)}))
            async with asyncio.timeout(30):
                while not client.app.slots["first"].open_jobs:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            await first.kill()
            async with asyncio.timeout(60):
                status, body = await sent
                if status == 202:
                    status, body = await client.result(body)
            assert (status, body["status"]) == (200, "success")
            assert "'first' has lost it" in body["warnings"][0]["message"]


async def test_a_lost_job_is_not_sent_again_if_that_is_not_wanted(tmp_path: Path, engine: EngineHandle) -> None:
    """With `resubmit = "never"`, the error says that the job may have run."""
    async with worker_process(tmp_path / "a") as first, worker(engine, tmp_path / "b") as second:
        options = toml(first.url, second.app.url, 'lost_after_s = 1\nresubmit = "never"')
        async with proxy(tmp_path / "proxy", toml=options) as client:
            _, job = await client.post("/generate", {"workflow": slow(30, 300)})
            await first.kill()
            status, body = await client.result(job)
            assert (status, body["error"]["code"]) == (503, "job_gone")
            assert "'first'" in body["error"]["message"]


async def test_a_backend_that_restarts_keeps_its_jobs(tmp_path: Path, engine: EngineHandle) -> None:
    """A worker that was killed and started again goes on with its jobs, and no other backend gets them."""
    async with worker_process(tmp_path / "a") as first, worker(engine, tmp_path / "b") as second:
        async with proxy(tmp_path / "proxy", toml=toml(first.url, second.app.url)) as client:
            jobs = [(await client.post("/generate", {"workflow": slow(1, 10)}))[1] for _ in range(3)]
            waiting = asyncio.create_task(client.post("/generate/sync", {"workflow": slow(1, 10), "id": "sync"}))
            async with asyncio.timeout(30):
                while client.app.slots["first"].open_jobs < 4:
                    await asyncio.sleep(0.05)
            await first.kill()
            await first.start()
            async with asyncio.timeout(60):
                results = [await client.result(job) for job in jobs] + [await waiting]
            assert [status for status, _ in results] == [200] * 4
            assert not any("warnings" in body for _, body in results)
        assert not list(second.app.manager.job_index)


async def test_a_job_that_no_backend_has_is_cancelled_at_once(tmp_path: Path) -> None:
    """An accepted job waits for a backend that is away. Its cancellation does not."""
    async with (
        worker_process(tmp_path / "a") as first,
        proxy(tmp_path / "proxy", toml=toml(first.url, first.url, "lost_after_s = 0.2")) as client,
    ):
        _, job = await client.post("/generate", {"workflow": slow(30, 300)})
        await first.kill()
        async with asyncio.timeout(30):
            while client.app.jobs.index.find(job["id"], token=job["token"]).attempt is not None:
                await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            status, body = await client.delete(f"/jobs/{job['id']}", job["token"])
            assert (status, body["cancelled"]) == (200, True)
        assert (await client.result(job))[0] == 499


async def test_a_synchronous_job_without_an_id_survives_its_backend(tmp_path: Path, engine: EngineHandle) -> None:
    """The connection of the job breaks. It is sent again with its key to the same backend, and to no other one."""
    async with worker_process(tmp_path / "a") as first, worker(engine, tmp_path / "b") as second:
        async with proxy(tmp_path / "proxy", toml=toml(first.url, second.app.url)) as client:
            sent = asyncio.create_task(backend_of(client, {"workflow": slow(2, 20)}))
            async with asyncio.timeout(30):
                while not client.app.slots["first"].open_jobs:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)  # until the worker has it
            await first.kill()
            await first.start()
            async with asyncio.timeout(60):
                assert await sent == (200, "first", "1")
        assert not list(second.app.manager.job_index)


async def test_a_cancellation_that_did_not_arrive_changes_nothing(tmp_path: Path) -> None:
    """The response says that the job goes on. After the backend's restart, the caller gets the result."""
    async with (
        worker_process(tmp_path / "a") as first,
        proxy(tmp_path / "proxy", toml=toml(first.url, first.url)) as client,
    ):
        _, job = await client.post("/generate", {"workflow": slow(1, 10)})
        await first.kill()
        status, body = await client.delete(f"/jobs/{job['id']}", job["token"])
        assert (status, body["error"]["code"]) == (409, "cannot_cancel")
        await first.start()
        assert (await client.result(job))[0] == 200


async def test_a_backend_that_drains_keeps_its_jobs(tmp_path: Path, engine: EngineHandle) -> None:
    """A worker that gets SIGTERM leaves its running job for its restart. No other backend runs it, too."""
    async with worker_process(tmp_path / "a", WORKER_DRAIN="0.5") as first, worker(engine, tmp_path / "b") as second:
        async with proxy(tmp_path / "proxy", toml=toml(first.url, second.app.url)) as client:
            sent = asyncio.create_task(backend_of(client, {"workflow": slow(4, 40)}))
            async with asyncio.timeout(30):
                while not client.app.slots["first"].open_jobs:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(1)  # until the worker has it
            await first.kill(signal.SIGTERM)
            await first.start()
            async with asyncio.timeout(60):
                assert await sent == (200, "first", "1")
        assert not list(second.app.manager.job_index)


async def test_attempts_of_a_job_that_waits_do_not_grow(tmp_path: Path) -> None:
    """A job that waits for days has one entry for each backend."""
    async with (
        worker_process(tmp_path / "a") as first,
        proxy(tmp_path / "proxy", toml=toml(first.url, first.url, "lost_after_s = 0.2")) as client,
    ):
        _, job = await client.post("/generate", {"workflow": slow(30, 300)})
        await first.kill()
        known = client.app.jobs.index.find(job["id"], token=job["token"])
        outcomes = []
        async with asyncio.timeout(60):
            while len(outcomes) < 6:
                attempt = known.attempts[-1]
                if attempt.outcome is not None and all(attempt is not other for other in outcomes):
                    outcomes.append(attempt)
                await asyncio.sleep(0.02)
        assert len(known.attempts) <= 4
        await client.delete(f"/jobs/{job['id']}", job["token"])
