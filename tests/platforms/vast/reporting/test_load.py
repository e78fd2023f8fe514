"""Reports to the autoscaler: load, rejections, speed and deletions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio

from tests import workflows
from tests.engines import EngineHandle
from tests.platforms.conftest import deleted, loaded, processes, start_worker
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast, ReportLog, RouterFaultConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLACES = 3


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def running(engine: EngineHandle, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalVast]:
    """Run one worker that accepts three jobs at a time."""
    folder = tmp_path_factory.mktemp("load")
    async with AsyncExitStack() as stack:
        local = await stack.enter_async_context(vast_router.serve())
        spawn = await stack.enter_async_context(processes(folder))
        await start_worker(spawn, local, engine, 1, folder / "state", WORKER_MAX_QUEUE=str(PLACES))
        await local.record.until(loaded(1))
        yield local


@pytest_asyncio.fixture(loop_scope="module")
async def vast(running: LocalVast) -> AsyncIterator[LocalVast]:
    """A router without reports, reset after each test."""
    running.record.clear()
    yield running
    running.configure(RouterFaultConfig())
    await running.record.until(lambda record: not record.statuses or record.statuses[-1].cur_load == 0)
    # What came later would be taken for the next test's.
    await running.record.until(lambda record: {one for one, _ in record.routed} <= deleted_numbers(record))


async def ask(vast: LocalVast, workflow: object, route: str = "/generate/sync", **options: Any) -> dict[str, Any]:
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        answer: dict[str, Any] = await endpoint.request(route, {"workflow": workflow}, timeout=25, **options)
        return answer


def load_is(load: float) -> Any:
    return lambda record: bool(record.statuses) and record.statuses[-1].cur_load == load


def deleted_numbers(record: ReportLog) -> set[int]:
    return {gone.request_idx for gone in record.deletions}


def working(record: ReportLog) -> tuple[int, ...]:
    return record.statuses[-1].working_request_idxs if record.statuses else ()


def served(record: ReportLog) -> float:
    return sum(said.cur_perf for said in record.statuses)


def new(record: ReportLog) -> float:
    return sum(said.new_load for said in record.statuses)


def rejected(record: ReportLog) -> float:
    return sum(said.rej_load for said in record.statuses)


async def test_the_speed_is_reported(vast: LocalVast) -> None:
    """The benchmark's score is positive and reported without an error."""
    async with vast.client() as client:
        workers = await (await client.get_endpoint("comfy")).get_workers()
    assert workers[0].measured_perf > 0
    assert workers[0].status == "idle"


async def test_load_rises_and_falls_with_the_work(vast: LocalVast) -> None:
    """Two running jobs are load, which is 0 afterwards, and served work with all of their units."""
    jobs = [asyncio.create_task(ask(vast, workflows.slow(1.5, steps=3))) for _ in range(2)]
    await vast.record.until(lambda record: bool(record.statuses) and record.statuses[-1].cur_load > 0)
    answers = await asyncio.gather(*jobs)
    await vast.record.until(load_is(0.0))
    units = sum(answer["response"]["metadata"]["workload"] for answer in answers)
    assert served(vast.record) == pytest.approx(units)
    assert new(vast.record) == pytest.approx(units)


async def test_a_job_behind_a_202_stays_in_the_load_until_it_ends(vast: LocalVast) -> None:
    """A job after a 202 counts as load until it ends, and its number is then deleted."""
    number = (await ask(vast, workflows.slow(2.5, steps=5), "/generate"))["request_idx"]
    await vast.record.until(lambda record: number in working(record))
    await asyncio.sleep(1.2)
    assert served(vast.record) == 0
    assert not deleted(number)(vast.record)
    await vast.record.until(load_is(0.0))
    await vast.record.until(deleted(number))
    assert served(vast.record) > 0


@pytest.mark.parametrize("full", [False, True], ids=["all at once", "when full"])
async def test_an_overload_is_rejected_and_reported(vast: LocalVast, full: bool) -> None:
    """Requests beyond the limit get 429, count as rejected and not as received, and are deleted once."""
    # The first keeps its place until the refusals are certain: reports come once a second.
    held_s = (3.5, *[1.2] * (PLACES - 1))
    jobs = [asyncio.create_task(ask(vast, workflows.slow(seconds, steps=5), retry=False)) for seconds in held_s]
    if full:
        await vast.record.until(lambda record: len(working(record)) == PLACES)
    jobs += [asyncio.create_task(ask(vast, workflows.slow(1.2, steps=5), retry=False)) for _ in range(4)]
    answers = await asyncio.gather(*jobs)
    refused = [answer for answer in answers if answer["status"] == 429]
    assert len(refused) == 4
    assert {answer["response"]["error"]["code"] for answer in refused} == {"queue_full"}
    await vast.record.until(lambda record: len(record.deletions) == PLACES + 4)
    await vast.record.until(load_is(0.0))
    unit = served(vast.record) / PLACES
    assert rejected(vast.record) == pytest.approx(4 * unit)
    assert new(vast.record) == pytest.approx(PLACES * unit)
    numbers = [gone.request_idx for gone in vast.record.deletions]
    assert sorted(numbers) == sorted(answer["request_idx"] for answer in answers)
    assert [gone.status for gone in vast.record.deletions].count("Rejected") == 4


async def test_a_hundred_bad_workflows_are_no_work_done(vast: LocalVast) -> None:
    """Invalid workflows do not count as served work (T19)."""
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        for _ in range(25):
            bad = ({"workflow": workflows.failing()}, {"workflow": {"1": {}}}, {"workflows": 1}, {"input": {}})
            answers = await asyncio.gather(*(endpoint.request("/generate/sync", body, retry=False) for body in bad[1:]))
            answers.append(await endpoint.request("/generate/sync", bad[0], retry=False))
            assert all(400 <= answer["status"] < 500 for answer in answers)
    await vast.record.until(lambda record: len(record.deletions) == 100)
    await asyncio.sleep(1.2)
    assert served(vast.record) == 0
    assert min(said.cur_perf for said in vast.record.statuses) == 0
    assert rejected(vast.record) == 0


async def test_a_stream_that_ends_badly_is_no_work_done(vast: LocalVast) -> None:
    """A stream of a failed job does not count as served work, although its status is 200."""
    answer = await ask_stream(vast, workflows.failing())
    assert answer[-1]["error"]["code"] == "node_failed"
    await vast.record.until(lambda record: len(record.deletions) == 1)
    await asyncio.sleep(1.2)
    assert served(vast.record) == 0
    await ask_stream(vast, workflows.picture())
    await vast.record.until(lambda record: served(record) > 0)


async def ask_stream(vast: LocalVast, workflow: object) -> list[dict[str, Any]]:
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        answer = await endpoint.request("/generate/stream", {"workflow": workflow}, stream=True)
        return [event async for event in answer["response"]]


async def test_a_client_that_disconnects_is_not_load(vast: LocalVast) -> None:
    """A job of a client that disconnected is cancelled and reported at once (T11)."""
    request = asyncio.create_task(ask(vast, workflows.slow(20, steps=100)))
    await vast.record.until(lambda record: bool(record.statuses) and record.statuses[-1].cur_load > 0)
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    await vast.record.until(load_is(0.0), 9)
    await vast.record.until(lambda record: [gone.status for gone in record.deletions] == ["Cancelled"])
    assert served(vast.record) == 0


async def test_a_node_that_goes_on_after_its_job_is_load(vast: LocalVast) -> None:
    """A node that continues after its job counts as load until it ends."""
    await ask(vast, workflows.picture())  # behind the job of a client that left: the next one has to begin in its time
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        body = {"workflow": workflows.slow(9.0), "timeout_s": 2.0}
        answer = await endpoint.request("/generate/sync", body, retry=False)
    assert answer["response"]["error"]["code"] == "timeout"
    await vast.record.until(lambda record: not working(record) and record.statuses[-1].cur_load > 0)
    await vast.record.until(load_is(0.0))


async def test_nothing_is_lost_to_a_slow_status_endpoint(vast: LocalVast) -> None:
    """No work is lost while a slow report is on its way (T18)."""
    vast.configure(RouterFaultConfig(status_delay_s=0.8))
    done = 0.0
    for _ in range(4):
        answers = await asyncio.gather(*(ask(vast, workflows.picture()) for _ in range(2)))
        done += sum(answer["response"]["metadata"]["workload"] for answer in answers)
        await asyncio.sleep(0.3)
    vast.configure(RouterFaultConfig())
    await vast.record.until(lambda record: served(record) >= done - 1e-9)
    assert served(vast.record) == pytest.approx(done)


async def test_reports_go_on_after_an_outage(vast: LocalVast) -> None:
    """Jobs run while the autoscaler is away, and are reported afterwards."""
    vast.configure(RouterFaultConfig(status_status=503, delete_status=503))
    answer = await ask(vast, workflows.picture())
    await asyncio.sleep(1.2)
    vast.configure(RouterFaultConfig())
    await vast.record.until(deleted(answer["request_idx"]))
    await vast.record.until(lambda record: served(record) > 0)
