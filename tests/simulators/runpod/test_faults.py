"""Faults of the simulated endpoint on demand."""

from __future__ import annotations

import asyncio
import time

import aiohttp
import pytest

from tests.simulators.runpod.endpoint import PlainEndpoint, plain_endpoint
from worker.simulators.runpod import FaultRule, RunpodFault


async def taken(endpoint: PlainEndpoint, worker_id: str = "pod0") -> str:
    """Queue a job, give it to a worker, and return its id."""
    job_id = await endpoint.run()
    assert (await endpoint.worker(worker_id).take())["id"] == job_id
    return job_id


async def test_a_status_comes_as_often_as_the_rule_says() -> None:
    """The log has every call, and the fault changes nothing."""
    async with plain_endpoint() as endpoint:
        worker, faults = endpoint.worker(), endpoint.runpod.faults
        job_id = await endpoint.run()
        faults.add(FaultRule("job-take", RunpodFault.STATUS, times=2, status=500))
        faults.add(FaultRule("job-take", RunpodFault.STATUS, times=1, status=401))
        assert [(await worker.call("GET", "job-take/pod0?gpu=F"))[0] for _ in range(4)] == [500, 500, 401, 200]
        assert [call.status for call in endpoint.runpod.calls.of("job-take")] == [500, 500, 401, 200]
        assert faults.injected == {"job-take status": 3}
        assert endpoint.runpod.state.jobs.counts[job_id].taken == 1


async def test_a_rule_may_be_for_one_worker_or_one_job() -> None:
    """Calls of others pass."""
    async with plain_endpoint() as endpoint:
        first, second = await taken(endpoint), await taken(endpoint)
        faults = endpoint.runpod.faults
        faults.add(FaultRule("job-done", RunpodFault.STATUS, times=None, status=429, job_id=second))
        faults.add(FaultRule("ping", RunpodFault.STATUS, times=None, status=500, worker_id="pod1"))
        assert await endpoint.worker().done(first, {"output": 1}) == 200
        assert await endpoint.worker().done(second, {"output": 1}) == 429
        assert [await endpoint.worker(name).ping() for name in ("pod0", "pod1")] == [200, 500]
        faults.clear()
        assert await endpoint.worker().done(second, {"output": 1}) == 200


async def test_a_share_of_the_calls() -> None:
    """About that part fails, the same in each run."""
    async with plain_endpoint() as endpoint:
        endpoint.runpod.faults.add(FaultRule("ping", RunpodFault.STATUS, times=None, status=500, share=0.3))
        statuses = [await endpoint.worker().ping() for _ in range(200)]
        assert 40 <= statuses.count(500) <= 80


@pytest.mark.parametrize(("fault", "status"), [(RunpodFault.CLOSED, "IN_PROGRESS"), (RunpodFault.DROPPED, "COMPLETED")])
async def test_a_lost_connection(fault: RunpodFault, status: str) -> None:
    """The worker gets no response. The result was stored, or not, and the second try is stored or ignored."""
    async with plain_endpoint() as endpoint:
        job_id = await taken(endpoint)
        endpoint.runpod.faults.add(FaultRule("job-done", fault))
        with pytest.raises(aiohttp.ClientConnectionError):
            await endpoint.worker().done(job_id, {"output": 1})
        assert (await endpoint.status(job_id))["status"] == status
        assert await endpoint.worker().done(job_id, {"output": 1}) == 200
        counts = endpoint.runpod.state.jobs.counts[job_id]
        assert (counts.accepted, counts.ignored) == (1, int(status == "COMPLETED"))
        assert [call.status for call in endpoint.runpod.calls.of("job-done")] == [0, 200]


@pytest.mark.parametrize("fault", [RunpodFault.STALL, RunpodFault.LATE])
async def test_a_slow_call(fault: RunpodFault) -> None:
    """The response comes late. With STALL the result is stored late as well."""
    async with plain_endpoint() as endpoint:
        job_id = await taken(endpoint)
        endpoint.runpod.faults.add(FaultRule("job-done", fault, seconds=0.5))
        started = time.monotonic()
        call = asyncio.create_task(endpoint.worker().done(job_id, {"output": 1}))
        if fault is RunpodFault.LATE:
            counts = endpoint.runpod.state.jobs.counts[job_id]
            assert await endpoint.runpod.state.changes.until(lambda: counts.accepted, 10)
            assert time.monotonic() - started < 0.5
        assert await call == 200
        assert time.monotonic() - started >= 0.5


async def test_one_job_for_two_workers() -> None:
    """The first result counts, and the second is ignored."""
    async with plain_endpoint() as endpoint:
        job_id = await endpoint.run()
        first, second = endpoint.worker("pod0"), endpoint.worker("pod1")
        endpoint.runpod.faults.add(FaultRule("job-take", RunpodFault.DUPLICATE))
        assert [(await worker.take())["id"] for worker in (first, second)] == [job_id] * 2
        assert await first.take() is None
        assert [await worker.done(job_id, {"output": worker.id}) for worker in (second, first)] == [200, 200]
        assert (await endpoint.status(job_id))["output"] == "pod1"
        counts = endpoint.runpod.state.jobs.counts[job_id]
        assert (counts.taken, counts.accepted, counts.ignored) == (2, 1, 1)


async def test_a_cancel_during_the_delivery() -> None:
    """The worker gets a job that is cancelled already, and the signal to stop it."""
    async with plain_endpoint() as endpoint:
        worker = endpoint.worker()
        endpoint.runpod.faults.add(FaultRule("job-take", RunpodFault.CANCEL))
        job_id = await taken(endpoint)
        assert (await endpoint.status(job_id))["status"] == "CANCELLED"
        assert await worker.stops() == [job_id]


async def test_stop_signals_for_any_job() -> None:
    """A worker may be told to stop jobs that it does not have: unknown, queued and finished ones."""
    async with plain_endpoint() as endpoint:
        worker, finished = endpoint.worker(), await taken(endpoint)
        await worker.done(finished, {"output": 1})
        queued = await endpoint.run()
        for job_id in (finished, queued, "unknown"):
            endpoint.runpod.state.jobs.add_stop("pod0", job_id)
        assert await worker.stops() == [finished, queued, "unknown"]
        assert (await endpoint.status(queued))["status"] == "IN_QUEUE"


@pytest.mark.parametrize("requeues", [False, True])
async def test_a_take_whose_response_is_lost(requeues: bool) -> None:
    """The job waits for its execution timeout, or goes to the next take, which aiohttp repeats without notice."""
    async with plain_endpoint(requeues_undelivered_jobs=requeues) as endpoint:
        job_id = await endpoint.run()
        endpoint.runpod.faults.add(FaultRule("job-take", RunpodFault.DROPPED))
        job = await endpoint.worker().take()
        assert [call.status for call in endpoint.runpod.calls.of("job-take")] == [0, 200 if requeues else 204]
        assert (job and job["id"]) == (job_id if requeues else None)
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"


async def test_a_worker_that_gives_up_its_take_gets_no_job() -> None:
    """A job that is queued after the end of a connection is not lost with it."""
    async with plain_endpoint(take_hold_s=20) as endpoint:
        take = asyncio.create_task(endpoint.worker().take())
        workers = endpoint.runpod.state.workers.workers
        while not any(worker.open_takes for worker in workers.values()):
            await asyncio.sleep(0.01)
        take.cancel()
        while any(worker.open_takes for worker in workers.values()):
            await asyncio.sleep(0.01)
        job_id = await endpoint.run()
        assert (await endpoint.worker("pod1").take())["id"] == job_id


@pytest.mark.parametrize("gets_jobs", [False, True])
async def test_a_job_for_a_worker_that_is_stopping(gets_jobs: bool) -> None:
    """An open take gets a job after SIGTERM, as the SDK allows, or the job waits for another worker."""
    async with plain_endpoint(stopping_workers_get_jobs=gets_jobs) as endpoint:
        await endpoint.worker().ping()
        endpoint.runpod.state.workers.workers["pod0"].is_stopping = True
        await endpoint.run()
        assert bool(await endpoint.worker().take()) is gets_jobs
