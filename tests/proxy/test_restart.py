"""The proxy is killed and started again: no accepted job is lost, and none runs twice."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.conftest import bearer
from tests.proxy.running import Process, process, worker_process
from tests.workflows import picture, slow

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sequence[Process]]:
    """Three workers."""
    async with AsyncExitStack() as stack:
        folders = [tmp_path_factory.mktemp(f"worker{number}") for number in range(3)]
        yield await asyncio.gather(*(stack.enter_async_context(worker_process(folder)) for folder in folders))


@asynccontextmanager
async def proxy_process(folder: Path, workers: Sequence[Process]) -> AsyncIterator[Process]:
    """Run a proxy in front of workers, in a process of its own."""
    backends = [argument for worker in workers for argument in ("--backend", worker.url)]
    async with process(folder, "proxy", *backends, "--state", str(folder / "state")) as running:
        yield running


async def runs(http: aiohttp.ClientSession, workers: Sequence[Process]) -> int:
    """Return the number of jobs that the workers have run."""
    total = 0.0
    for worker in workers:
        async with http.get(worker.url + "/metrics") as answer:
            lines = (await answer.text()).splitlines()
        total += sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("comfy_worker_jobs_total{"))
    return int(total)


async def result(http: aiohttp.ClientSession, url: str, job: dict) -> tuple[int, dict]:
    """Wait for the result of a job."""
    headers = bearer(job["token"]) | {"Prefer": "wait=60"}
    async with http.get(f"{url}/jobs/{job['id']}", headers=headers) as answer:
        return answer.status, await answer.json()


async def test_no_accepted_job_is_lost(tmp_path: Path, workers: Sequence[Process]) -> None:
    """A hundred accepted jobs end, each of them once, although the proxy is killed while they run."""
    async with proxy_process(tmp_path, workers) as proxy, aiohttp.ClientSession() as http:
        before = await runs(http, workers)

        async def accepted(number: int) -> dict:
            body = {"workflow": slow(0.1, 1), "id": f"job-{number}"}
            async with http.post(proxy.url + "/generate", json=body) as answer:
                assert answer.status == 202, await answer.text()
                return await answer.json()

        jobs = await asyncio.gather(*map(accepted, range(100)))
        await proxy.kill()
        await proxy.start()
        async with asyncio.timeout(90):
            results = await asyncio.gather(*(result(http, proxy.url, job) for job in jobs))
        assert [status for status, _ in results] == [200] * 100
        assert [body["id"] for _, body in results] == [job["id"] for job in jobs]
        assert await runs(http, workers) - before == 100


async def test_a_submission_that_was_open_runs_once(tmp_path: Path, workers: Sequence[Process]) -> None:
    """The proxy is killed while it submits jobs. Clients that send them again get their results, and each ran once."""
    async with proxy_process(tmp_path, workers) as proxy, aiohttp.ClientSession() as http:
        before = await runs(http, workers)
        bodies = [{"workflow": picture(), "id": f"open-{number}"} for number in range(60)]

        async def send(body: dict, path: str) -> tuple[int, dict]:
            async with http.post(proxy.url + path, json=body) as answer:
                return answer.status, await answer.json()

        sent = [asyncio.create_task(send(body, "/generate/sync")) for body in bodies]
        await asyncio.wait(sent, return_when=asyncio.FIRST_COMPLETED)
        await proxy.kill()
        await asyncio.gather(*sent, return_exceptions=True)
        assert any(task.exception() for task in sent)
        await proxy.start()
        async with asyncio.timeout(60):
            results = await asyncio.gather(*(send(body, "/generate/sync") for body in bodies))
        assert [(status, body["id"]) for status, body in results] == [(200, body["id"]) for body in bodies]
        assert await runs(http, workers) - before == 60


async def test_a_request_that_was_cut_off_gets_its_result(tmp_path: Path, workers: Sequence[Process]) -> None:
    """A synchronous request is sent again with the same Idempotency-Key, and its job has not run twice."""
    async with proxy_process(tmp_path, workers) as proxy, aiohttp.ClientSession() as http:
        before, body = await runs(http, workers), {"workflow": slow(3, 30)}
        headers = {"Idempotency-Key": "cut-off"}
        sent = asyncio.create_task(http.post(proxy.url + "/generate/sync", json=body, headers=headers))
        async with asyncio.timeout(30):
            while not json.loads(await (await http.get(proxy.url + "/health")).read())["jobs"]:
                await asyncio.sleep(0.05)
        await proxy.kill()
        with pytest.raises(aiohttp.ClientError):
            await sent
        await proxy.start()
        async with http.post(proxy.url + "/generate/sync", json=body, headers=headers) as answer:
            assert (answer.status, (await answer.json())["id"]) == (200, "cut-off")
        assert await runs(http, workers) - before == 1


async def test_results_survive_a_restart(tmp_path: Path, workers: Sequence[Process]) -> None:
    """A result that was there before a restart, and its files, are there after it."""
    async with proxy_process(tmp_path, workers) as proxy, aiohttp.ClientSession() as http:
        async with http.post(proxy.url + "/generate", json={"workflow": picture(), "output_format": "url"}) as answer:
            job = await answer.json()
        before = await result(http, proxy.url, job)
        await proxy.kill(signal.SIGTERM)
        await proxy.start()
        assert await result(http, proxy.url, job) == before
        async with http.get(before[1]["image"]) as answer:
            assert (answer.status, answer.content_type) == (200, "image/png")


async def test_the_end_waits_for_synchronous_jobs(tmp_path: Path, workers: Sequence[Process]) -> None:
    """After SIGTERM, a client that waits gets its result, and new jobs get 503."""
    async with proxy_process(tmp_path, workers) as proxy, aiohttp.ClientSession() as http:
        body = {"workflow": slow(2, 20)}
        sent = asyncio.create_task(http.post(proxy.url + "/generate/sync", json=body))
        async with asyncio.timeout(30):
            while not json.loads(await (await http.get(proxy.url + "/health")).read())["jobs"]:
                await asyncio.sleep(0.05)
        assert proxy.process is not None
        proxy.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            while True:
                async with http.post(proxy.url + "/generate", json={"workflow": picture()}) as refused:
                    answer = await refused.json()
                if refused.status == 503:
                    break
        assert answer["error"]["code"] == "draining"
        async with await sent as answer:
            assert answer.status == 200
        assert await proxy.process.wait() == 0
