"""The simulated router with Vast's own client and SDK worker, one switch in each test."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aiohttp
import pytest
import pytest_asyncio

from tests.platforms.conftest import Spawn, loaded, processes
from worker.simulators import vast_router
from worker.simulators.vast_router import LocalVast, ReportLog, RouterFaultConfig

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalVast]:
    """Two plain SDK workers behind one simulated router, with TLS."""
    async with AsyncExitStack() as stack:
        vast = await stack.enter_async_context(vast_router.serve(tls=True))
        for worker_id in (1, 2):
            folder = tmp_path_factory.mktemp(f"worker{worker_id}")
            spawn = await stack.enter_async_context(processes(folder))
            await spawn("plain_worker.py", await vast.worker_env(worker_id))
        for worker_id in (1, 2):
            await vast.record.until(loaded(worker_id))
        yield vast


@pytest_asyncio.fixture(loop_scope="module")
async def vast(pair: LocalVast) -> AsyncIterator[LocalVast]:
    """The pair, reset and idle after each test."""
    yield pair
    pair.configure(RouterFaultConfig())
    await pair.record.until(at_rest)


def at_rest(record: ReportLog) -> bool:
    """Return whether all requests are done. A report of the load may be late (T11)."""
    return {idx for idx, _ in record.routed} <= {gone.request_idx for gone in record.deletions}


async def ask(vast: LocalVast, payload: dict[str, object] | None = None, **options: object) -> dict[str, object]:
    async with vast.client() as client:
        endpoint = await client.get_endpoint("comfy")
        result: dict[str, object] = await endpoint.request("/generate/sync", payload or {"a": 1}, **options)
        return result


async def test_a_request_goes_round_over_tls(vast: LocalVast) -> None:
    """A request reaches the worker at its mapped port over TLS and is deleted once."""
    result = await ask(vast)
    assert result["response"] == {"echo": {"a": 1}}
    assert str(result["url"]).startswith("https://127.0.0.1:")
    number = result["request_idx"]
    await vast.record.until(lambda record: any(gone.request_idx == number for gone in record.deletions))
    assert [gone.status for gone in vast.record.deletions if gone.request_idx == number] == ["Success"]


async def test_a_client_without_the_root_rejects_the_worker(vast: LocalVast) -> None:
    """A client without the simulator's root rejects the worker."""
    result = await ask(vast)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.post(f"{result['url']}/generate/sync", ssl=ssl.create_default_context())


async def test_the_first_answers_are_not_ready(vast: LocalVast) -> None:
    """A client polls with its number until there is a worker."""
    vast.configure(RouterFaultConfig(not_ready_answers=2))
    started = time.monotonic()
    result = await ask(vast)
    assert result["ok"]
    assert time.monotonic() - started > 1.0
    assert [idx for idx, _ in vast.record.routed].count(int(str(result["request_idx"]))) == 1


async def test_requests_spread_over_workers(vast: LocalVast) -> None:
    """Six requests at once are distributed over the workers."""
    before = len(vast.record.routed)
    await asyncio.gather(*(ask(vast, {"sleep_s": 0.3}) for _ in range(6)))
    assert {worker_id for _, worker_id in list(vast.record.routed)[before:]} == {1, 2}


@pytest.mark.parametrize(
    "closed", [RouterFaultConfig(max_queue_time_s=-1.0), RouterFaultConfig(silence_s=-1.0)], ids=["full", "silent"]
)
async def test_requests_wait_while_no_worker_is_available(vast: LocalVast, closed: RouterFaultConfig) -> None:
    """A request waits at the router while no worker is available."""
    vast.configure(closed)
    request = asyncio.create_task(ask(vast))
    await asyncio.sleep(0.5)
    before = len(vast.record.routed)
    assert not request.done()
    vast.configure(RouterFaultConfig())
    assert (await request)["ok"]
    assert len(vast.record.routed) == before + 1


@pytest.mark.parametrize("status", [429, 502])
async def test_the_client_gives_up_when_the_router_refuses(vast: LocalVast, status: int) -> None:
    """Any error of `/route/` fails the request at once."""
    vast.configure(RouterFaultConfig(route_status=status))
    with pytest.raises(RuntimeError, match=str(status)):
        await ask(vast)


async def test_a_false_signature_is_refused_by_the_sdk(vast: LocalVast) -> None:
    """The SDK accepts the router's signature and rejects one by another key."""
    vast.configure(RouterFaultConfig(true_signature=False))
    assert (await ask(vast))["status"] == 401
    vast.configure(RouterFaultConfig())
    assert (await ask(vast))["ok"]


async def test_failed_reports_are_repeated(vast: LocalVast) -> None:
    """A worker repeats its reports after an outage of `/worker_status/`."""
    vast.configure(RouterFaultConfig(status_status=503))
    await ask(vast)
    before = len(vast.record.statuses)  # now, when a report that was on its way has arrived
    with pytest.raises(TimeoutError):
        await vast.record.until(lambda record: len(record.statuses) > before, 1.5)
    vast.configure(RouterFaultConfig())
    await vast.record.until(lambda record: len(record.statuses) > before)


async def test_a_slow_status_endpoint_loses_work(vast: LocalVast) -> None:
    """The SDK loses the work that it counts during a report (T18)."""
    vast.configure(RouterFaultConfig(status_delay_s=0.8))
    before = len(vast.record.statuses)
    for _ in range(3):
        await asyncio.gather(*(ask(vast) for _ in range(4)))
        await asyncio.sleep(0.5)
    vast.configure(RouterFaultConfig())
    await asyncio.sleep(2.2)
    assert sum(said.cur_perf for said in list(vast.record.statuses)[before:]) < 1200


async def test_failed_deletions_are_repeated(vast: LocalVast) -> None:
    """A deletion is repeated until it is accepted."""
    vast.configure(RouterFaultConfig(delete_status=500))
    number = (await ask(vast))["request_idx"]
    await asyncio.sleep(1.2)
    vast.configure(RouterFaultConfig(delete_delay_s=0.2))
    await vast.record.until(lambda record: any(gone.request_idx == number for gone in record.deletions))
    await asyncio.sleep(1.5)
    assert [gone.request_idx for gone in vast.record.deletions].count(int(str(number))) == 1


async def test_the_client_can_list_the_workers(vast: LocalVast) -> None:
    """`get_endpoint_workers` lists both workers as idle, with their speed."""
    async with vast.client() as client:
        workers = await (await client.get_endpoint("comfy")).get_workers()
    assert sorted((worker.id, worker.status) for worker in workers) == [(1, "idle"), (2, "idle")]
    assert all(worker.measured_perf > 0 for worker in workers)


async def test_route_needs_the_endpoints_key(vast: LocalVast) -> None:
    """`/route/` needs the endpoint's own key."""
    async with aiohttp.ClientSession() as session:
        body = {"endpoint": "comfy", "api_key": "wrong", "cost": 1, "request_idx": 0}
        async with session.post(f"{vast.url}/route/", params={"api_key": "wrong"}, json=body) as response:
            assert response.status == 401


async def test_a_public_key_that_comes_late_is_asked_for_again(spawn: Spawn) -> None:
    """The SDK's worker retries the public key after 1, 2 and 4 s."""
    async with vast_router.serve(fault_config=RouterFaultConfig(pubkey_status=503)) as late:
        await spawn("plain_worker.py", await late.worker_env(1))
        await late.record.until(loaded(1))
        assert (await ask(late))["status"] == 401
        late.configure(RouterFaultConfig())
        async with asyncio.timeout(60):
            while not (await ask(late))["ok"]:
                await asyncio.sleep(0.2)
