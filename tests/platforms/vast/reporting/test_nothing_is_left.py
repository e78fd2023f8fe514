"""Random requests, of which every kind of end leaves nothing in the router's record."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests import workflows
from tests.engines import EngineHandle, start_engine
from tests.platforms.conftest import loaded, processes, start_worker
from worker.load.workload import workload
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast, ReportLog

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACES, REQUESTS = 4, 24
WORKFLOWS: dict[str, Callable[[], Any]] = {
    "completes": lambda: workflows.slow(0.2, steps=2),
    "fails": workflows.failing,
    "is invalid": lambda: {"1": {"class_type": "NoSuchClass", "inputs": {}}},
    "is aborted": lambda: workflows.slow(8.0, steps=80),
    "goes on": lambda: workflows.slow(0.4, steps=4),
    "is cancelled": lambda: workflows.slow(8.0, steps=80),
    "is repeated": lambda: workflows.slow(0.2, steps=2),
}
"""A workflow for each way in which a request ends."""


@dataclass
class Worker:
    """A worker that accepts four jobs at a time, and its own engine."""

    vast: LocalVast
    engine: EngineHandle


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def worker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Worker]:
    folder = tmp_path_factory.mktemp("left")
    limits = {"WORKER_MAX_QUEUE": str(PLACES), "WORKER_HANGUP_GRACE": "0.1", "WORKER_VAST_METERING": "true"}
    async with AsyncExitStack() as stack:
        engine = stack.enter_context(start_engine(folder / "engine"))
        vast = await stack.enter_async_context(vast_router.serve())
        spawn = await stack.enter_async_context(processes(folder))
        await start_worker(spawn, vast, engine, 1, folder / "state", **limits)
        await vast.record.until(loaded(1))
        yield Worker(vast, engine)


async def request(endpoint: Any, http: aiohttp.ClientSession, kind: str) -> float:
    """Send a request that ends in this way, unless it is rejected. Return the units of its job if that completed."""

    async def send(workflow: object, route: str = "/generate/sync", **more: str) -> dict[str, Any]:
        body = {"workflow": workflow, **more}
        answer: dict[str, Any] = await endpoint.request(route, body, timeout=60, retry=False)
        return answer

    workflow = WORKFLOWS[kind]()
    if kind in {"completes", "fails", "is invalid"}:
        return units(await send(workflow))
    if kind == "is repeated":
        job_id = uuid.uuid4().hex
        return max(map(units, await asyncio.gather(*(send(workflow, id=job_id) for _ in range(3)))))
    if kind == "is aborted":
        task = asyncio.create_task(send(workflow))
        await asyncio.sleep(0.6)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return 0.0
    answer = await send(workflow, "/generate")
    if answer["status"] != 202:
        return 0.0
    job = {name: answer["response"][name] for name in ("id", "token")}
    if kind == "is cancelled":
        await asyncio.sleep(0.3)
        await post(http, answer["url"], "/cancel", job)
        return 0.0
    while (result := await post(http, answer["url"], "/result", job))[0] == 202:
        await asyncio.sleep(0.2)
    return units({"status": result[0], "response": result[1]})


async def post(http: aiohttp.ClientSession, url: str, route: str, job: dict[str, str]) -> tuple[int, Any]:
    async with http.post(url + route, json=job) as response:
        return response.status, await response.json()


def units(answer: dict[str, Any]) -> float:
    """Return the units of a job that has completed, and 0 for any other answer."""
    return answer["response"]["metadata"]["workload"] if answer["status"] == 200 else 0.0


def idle(record: ReportLog) -> bool:
    last = record.statuses[-1]
    done = {deletion.request_idx for deletion in record.deletions}
    return last.cur_load == 0 and not last.working_request_idxs and {number for number, _ in record.routed} <= done


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_happens_nothing_is_left(worker: Worker, seed: int) -> None:
    """After random requests, of which one engine crash kills some, the record has no load and each request once.

    What was received is what completed, and at most once what failed, was cancelled or lost its client.
    """
    rng, vast = random.Random(seed), worker.vast
    vast.record.clear()
    requests, kinds = [], []
    async with vast.client() as client, aiohttp.ClientSession() as http:
        endpoint = await client.get_endpoint("comfy")
        for number in range(REQUESTS):
            kinds.append(rng.choice(tuple(WORKFLOWS)))
            requests.append(asyncio.create_task(request(endpoint, http, kinds[-1])))
            await asyncio.sleep(rng.uniform(0.0, 0.25))
            if number == REQUESTS // 2:
                worker.engine.kill()
                worker.engine.restart()
        done = await asyncio.gather(*requests)
    completed = sum(done)
    most_else = sum(workload(WORKFLOWS[kind]()) for kind, units_done in zip(kinds, done, strict=True) if not units_done)
    await vast.record.until(idle)
    routed, ended = (Counter(rows) for rows in ([n for n, _ in vast.record.routed], deleted(vast.record)))
    assert routed == ended == Counter(range(min(routed), max(routed) + 1))
    assert sum(report.cur_perf for report in vast.record.statuses) == pytest.approx(completed)
    received = sum(report.new_load for report in vast.record.statuses)
    assert completed * (1 - 1e-9) <= received <= (completed + most_else) * (1 + 1e-9)
    await asyncio.sleep(1.2)  # a report of what is left would come now
    assert idle(vast.record)


def deleted(record: ReportLog) -> list[int]:
    return [deletion.request_idx for deletion in record.deletions]
