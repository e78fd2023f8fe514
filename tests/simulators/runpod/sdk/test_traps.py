"""What RunPod's own worker does when the platform is in trouble. Our worker has to do better.

The numbers are those of the traps in RunPod's SDK, as docs/runpod-stand-in.md lists them.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.simulators.runpod.endpoint import PlainEndpoint, plain_endpoint
from tests.simulators.runpod.sdk.programs import HERE, sdk_python, sdk_versions, sdk_worker
from worker.simulators.runpod import FaultRule, PodOptions, PodScaling, RunpodFault

LIMIT_S = 40.0
NEWEST = sdk_versions("1.12")


@asynccontextmanager
async def working(
    version: str, folder: Path, **assumptions: Any
) -> AsyncIterator[tuple[PlainEndpoint, asyncio.subprocess.Process]]:
    """Run the stand-in with a worker of RunPod's SDK that has asked for its first job."""
    switches = {"take_hold_s": 3.0, "stop_hold_s": 3.0, **assumptions}
    async with plain_endpoint(**switches) as endpoint, sdk_worker(version, endpoint.runpod, folder) as process:
        workers = endpoint.runpod.state.workers.workers
        await until(lambda: any(worker.open_takes for worker in workers.values()))
        yield endpoint, process


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("version", NEWEST)
async def test_a_large_result_is_lost(version: str, tmp_path: Path) -> None:
    """R1: the SDK sends a result above the limit once, and the job is COMPLETED without output."""
    async with working(version, tmp_path, run_limit=100_000) as (endpoint, _):
        job_id = await endpoint.run({"op": "large", "size": 100_000})
        counts = endpoint.runpod.state.jobs.counts[job_id]
        await until(lambda: counts.refused)
        state = await endpoint.status(job_id)
        assert (state["status"], "output" in state) == ("COMPLETED", False)
        assert [call.status for call in endpoint.runpod.calls.of("job-done")] == [400]


@pytest.mark.parametrize("version", NEWEST)
async def test_a_result_is_lost_with_its_connection(version: str, tmp_path: Path) -> None:
    """R2: after a dropped connection the SDK does not send the result again, and takes the next job."""
    async with working(version, tmp_path) as (endpoint, _):
        endpoint.runpod.faults.add(FaultRule("job-done", RunpodFault.CLOSED))
        lost, following = await endpoint.run({"op": "echo"}), await endpoint.run({"op": "echo"})
        await until(lambda: endpoint.runpod.state.jobs.counts[following].accepted)
        assert (await endpoint.status(lost))["status"] == "IN_PROGRESS"
        assert [call.status for call in endpoint.runpod.calls.of("job-done")] == [0, 200]


@pytest.mark.parametrize("version", NEWEST)
async def test_three_errors_lose_a_result(version: str, tmp_path: Path) -> None:
    """R2: after 2 s and 3 s the SDK gives up."""
    async with working(version, tmp_path) as (endpoint, _):
        endpoint.runpod.faults.add(FaultRule("job-done", RunpodFault.STATUS, times=3, status=500))
        lost, following = await endpoint.run({"op": "echo"}), await endpoint.run({"op": "echo"})
        await until(lambda: endpoint.runpod.state.jobs.counts[following].accepted)
        assert (await endpoint.status(lost))["status"] == "IN_PROGRESS"
        assert [call.status for call in endpoint.runpod.calls.of("job-done")] == [500, 500, 500, 200]


@pytest.mark.parametrize("version", NEWEST)
async def test_nan_is_no_result(version: str, tmp_path: Path) -> None:
    """R3: the SDK sends NaN, which is no JSON, and the job is never reported."""
    async with working(version, tmp_path) as (endpoint, _):
        job_id = await endpoint.run({"op": "nan"})
        await until(lambda: endpoint.runpod.calls.of("job-done"))
        [call] = endpoint.runpod.calls.of("job-done")
        assert (call.status, call.body) == (400, '{"output": {"x": NaN}}')
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"


@pytest.mark.parametrize("version", NEWEST)
async def test_a_job_after_sigterm_is_taken_and_not_run(version: str, tmp_path: Path) -> None:
    """R4: an open take still delivers a job, and the worker exits with 0 without it."""
    async with working(version, tmp_path, take_hold_s=10.0) as (endpoint, process):
        process.send_signal(signal.SIGTERM)
        worker = endpoint.runpod.state.workers.workers["pod0"]
        pings = worker.pings
        await until(lambda: worker.pings >= pings + 2)  # by then it runs no jobs any more
        job_id = await endpoint.run({"op": "echo"})
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0
        counts = endpoint.runpod.state.jobs.counts[job_id]
        assert (counts.taken, counts.accepted) == (1, 0)
        assert (await endpoint.status(job_id))["status"] == "IN_PROGRESS"


@pytest.mark.parametrize("version", NEWEST)
async def test_pings_outlive_the_worker(version: str, tmp_path: Path) -> None:
    """R5: after SIGKILL of the worker its process for pings goes on, and still names the job."""
    async with working(version, tmp_path) as (endpoint, process):
        job_id = await endpoint.run({"op": "sleep", "s": 60})
        worker = endpoint.runpod.state.workers.workers["pod0"]
        await until(lambda: job_id in worker.pinged_jobs)
        process.kill()
        await process.wait()
        pings = worker.pings
        await until(lambda: worker.pings >= pings + 2)
        assert worker.pinged_jobs == (job_id,)


@pytest.mark.parametrize("version", NEWEST)
async def test_errors_of_the_take_are_repeated_without_a_pause(version: str, tmp_path: Path) -> None:
    """R7: a take that fails is sent again at once."""
    async with working(version, tmp_path) as (endpoint, _):
        faults = endpoint.runpod.faults
        faults.add(FaultRule("job-take", RunpodFault.STATUS, times=None, status=500))
        await until(lambda: faults.injected.get("job-take status", 0) > 0)
        began = time.monotonic()
        await until(lambda: faults.injected["job-take status"] > 100)
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("version", NEWEST)
async def test_it_ignores_stop_signals_for_other_jobs(version: str, tmp_path: Path) -> None:
    """Signals for an unknown and a finished job change nothing."""
    async with working(version, tmp_path) as (endpoint, _):
        state, jobs = await endpoint.post("runsync?wait=20000", {"input": {"op": "echo"}}), endpoint.runpod.state.jobs
        for job_id in (state[1]["id"], "unknown"):
            jobs.add_stop("pod0", job_id)
        endpoint.runpod.state.changes.notify()
        await until(lambda: any(call.status == 200 for call in endpoint.runpod.calls.of("job-stop")))
        _, state = await endpoint.post("runsync?wait=20000", {"input": {"op": "echo"}})
        assert state["status"] == "COMPLETED"


@pytest.mark.parametrize("version", sdk_versions("1.11"))
async def test_the_stand_in_starts_and_stops_its_workers(version: str, tmp_path: Path) -> None:
    """Two jobs start two workers of the SDK. When they are idle they end with SIGTERM, after their long polls."""
    scaling = PodScaling(max_workers=2, idle_timeout_s=1, queue_delay_s=0)
    options = PodOptions([str(sdk_python(version)), str(HERE / "plain_handler.py")], tmp_path, scaling=scaling)
    async with plain_endpoint(pods=options, take_hold_s=1.0, stop_hold_s=1.0) as endpoint:
        job_ids = [await endpoint.run({"op": "sleep", "s": 3}) for _ in range(2)]
        counts = endpoint.runpod.state.jobs.counts
        await until(lambda: all(counts[job_id].accepted for job_id in job_ids))
        pool = endpoint.runpod.pods
        assert pool
        await until(lambda: not pool.pods)
        assert [pod.exit_codes for pod in pool.ended] == [[0], [0]]
        assert {worker for job_id in job_ids for worker in counts[job_id].workers} == {"pod-1", "pod-2"}
