"""Switches of the stand-in for what is unknown about RunPod."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.simulators.runpod.endpoint import exchange, plain_endpoint
from tests.simulators.runpod.test_pods import pods, result, until
from tests.simulators.runpod.test_queue import HandClock
from worker.simulators.runpod import PodScaling


@pytest.mark.parametrize("status", [204, 200])
async def test_the_answer_to_a_call_in_vain(status: int) -> None:
    """Takes and job-stop get the same status, without a body."""
    async with plain_endpoint(empty_status=status, take_hold_s=0.05, stop_hold_s=0.05) as endpoint:
        worker = endpoint.worker()
        for path in ("job-take/pod0?gpu=F", "job-take-batch/pod0?gpu=F&batch_size=2", "job-stop/pod0?gpu=F"):
            assert await worker.call("GET", path) == (status, None)


async def test_the_answer_to_a_result() -> None:
    """It may have a body."""
    async with plain_endpoint(result_answer="stored") as endpoint:
        await endpoint.run()
        worker = endpoint.worker()
        job = await worker.take()
        await worker.done(job["id"], {"output": 1})
        assert endpoint.runpod.calls.of("job-done")[0].answer == "stored"


async def test_keys_that_the_sdk_does_not_know() -> None:
    """A taken job may have more keys."""
    async with plain_endpoint(adds_unknown_key=True) as endpoint:
        await endpoint.run()
        assert (await endpoint.worker().take()).keys() == {"id", "input", "unknownKey"}


@pytest.mark.parametrize("keeps", [True, False])
async def test_output_beside_an_error(keeps: bool) -> None:
    """It is kept or dropped."""
    async with plain_endpoint(keeps_output_beside_error=keeps) as endpoint:
        job_id = await endpoint.run()
        await endpoint.worker().take()
        await endpoint.worker().done(job_id, {"error": "no", "output": {"more": 1}})
        assert ("output" in await endpoint.status(job_id)) is keeps


@pytest.mark.parametrize("becomes", [True, False])
async def test_the_output_of_a_generator(becomes: bool) -> None:
    """Without `return_aggregate_stream` the SDK sends an empty list, which the chunks may replace."""
    async with plain_endpoint(chunks_become_output=becomes) as endpoint:
        job_id = await endpoint.run()
        worker = endpoint.worker()
        await worker.take()
        await worker.call("POST", f"job-stream/pod0/{job_id}?gpu=FAKE&isStream=false", b'{"output": 1}')
        await endpoint.get(f"stream/{job_id}")
        await worker.done(job_id, {"output": []})
        assert (await endpoint.status(job_id))["output"] == ([{"output": 1}] if becomes else [])


@pytest.mark.parametrize("shows", [True, False])
async def test_the_worker_in_the_state_of_a_job(shows: bool) -> None:
    """`workerId` may be missing."""
    async with plain_endpoint(shows_worker_id=shows) as endpoint:
        job_id = await endpoint.run()
        await endpoint.worker().take()
        assert ("workerId" in await endpoint.status(job_id)) is shows


@pytest.mark.parametrize("starts", [True, False])
async def test_the_start_of_the_execution_time(starts: bool) -> None:
    """It is the take, or the first ping that names the job, which matters for a job that a worker has prefetched."""
    clock = HandClock()
    async with plain_endpoint(clock, ping_starts_execution=starts, lost_after_s=1e9) as endpoint:
        job_id = await endpoint.run(policy={"executionTimeout": 10_000})
        worker = endpoint.worker()
        await worker.take()
        clock.now += 9
        await worker.ping(f"&job_id={job_id}")
        clock.now += 9
        await worker.ping(f"&job_id={job_id}")
        assert (await endpoint.status(job_id))["status"] == ("IN_PROGRESS" if starts else "TIMED_OUT")
        clock.now += 2
        assert (await endpoint.status(job_id))["status"] == "TIMED_OUT"


@pytest.mark.parametrize("accepts", [True, False])
async def test_a_result_of_a_worker_that_was_lost(accepts: bool) -> None:
    """It ends the job that waits in the queue again, or is ignored."""
    async with plain_endpoint(accepts_late_results=accepts, late_result_status=410) as endpoint:
        job_id = await endpoint.run()
        worker = endpoint.worker()
        await worker.take()
        endpoint.runpod.state.lose("pod0")
        assert await worker.done(job_id, {"output": 1}) == (200 if accepts else 410)
        assert (await endpoint.status(job_id))["status"] == ("COMPLETED" if accepts else "IN_QUEUE")
        assert bool(await endpoint.worker("pod1").take()) is not accepts


async def test_one_limit_for_all_results() -> None:
    """Without limits by id, results of /run may be as large as those of /runsync."""
    async with plain_endpoint(result_limit_by_id=False, run_limit=50, runsync_limit=100) as endpoint:
        job_id = await endpoint.run({})
        await endpoint.worker().take()
        assert await endpoint.worker().done(job_id, {"output": "x" * 50}) == 200


async def test_a_take_without_a_key() -> None:
    """It may be refused like all other calls."""
    async with plain_endpoint(take_without_key_status=401) as endpoint:
        url = f"{endpoint.runpod.endpoint_url}/job-take/pod0?gpu=F"
        assert (await exchange(endpoint.http, "GET", url, None, {}))[0] == 401


async def test_a_worker_that_ends_may_keep_its_jobs(tmp_path: Path) -> None:
    """Without the report of its end they wait until it is silent for too long."""
    switches = {"exit_requeues": False, "lost_after_s": 3.0, "restart_pause_s": 60.0}
    async with pods(tmp_path, PodScaling(min_workers=1), **switches) as (endpoint, pool):
        job_id = await endpoint.run({"op": "exit", "code": 3})
        await until(lambda: pool.pods["pod-1"].exit_codes == [3])
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"
        await until(lambda: endpoint.runpod.state.jobs.counts[job_id].lost == 1)


async def test_workers_may_be_killed_at_once(tmp_path: Path) -> None:
    """Without SIGTERM a worker cannot drain."""
    async with pods(tmp_path, PodScaling(min_workers=1), sends_sigterm=False) as (endpoint, pool):
        await result(endpoint)
        pool.stop("pod-1")
        await until(lambda: pool.ended)
        assert pool.ended[0].exit_codes == [-signal.SIGKILL]


async def test_the_limit_of_the_execution_time_has_a_minimum() -> None:
    """Less than 5 s is 5 s."""
    clock = HandClock()
    async with plain_endpoint(clock, lost_after_s=1e9) as endpoint:
        job_id = await endpoint.run(policy={"executionTimeout": 1})
        await endpoint.worker().take()
        clock.now += 4.9
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"
        clock.now += 0.2
        assert (await endpoint.status(job_id))["status"] == "TIMED_OUT"
