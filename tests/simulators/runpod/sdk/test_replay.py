"""RunPod's own programs send the stand-in the requests of the recordings, in order and shape."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import worker
from tests.engines import EngineHandle
from tests.npm import needs_npm
from tests.simulators.runpod.endpoint import PlainEndpoint, plain_endpoint
from tests.simulators.runpod.exchanges import Lanes, lanes, logged, needs_recordings, recording
from tests.simulators.runpod.sdk.programs import (
    run_npm_client,
    run_python_client,
    sdk_versions,
    sdk_worker,
)
from tests.workflows import picture
from worker.simulators.runpod import FaultRule, RunpodFault

pytestmark = needs_recordings
HOLD = {"take_hold_s": 3.0, "stop_hold_s": 3.0}
LIMIT_S = 40.0
NEWEST = sdk_versions("1.12")
WORKER_LANES = ("take", "stop", "job-")


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        await asyncio.sleep(0.02)


async def run_sync(endpoint: PlainEndpoint, given: dict[str, Any]) -> Any:
    """Run a job and return its state."""
    status, body = await endpoint.post("runsync?wait=30000", {"input": given})
    assert status == 200, body
    return body


def worker_lanes(found: Lanes) -> Lanes:
    """Return the lanes of a worker, except for its pings, whose content depends on the time."""
    return {name: shapes for name, shapes in found.items() if name.startswith(WORKER_LANES)}


async def assert_same(endpoint: PlainEndpoint, name: str, *clients: str) -> None:
    """Compare the worker's requests with those of a recording, and those of these clients.

    Whether a ping names a job depends on the time. All forms of the recording are sent sooner or later.
    """
    recorded = lanes(recording(name))

    def sent() -> Lanes:
        return lanes(logged(endpoint.runpod.calls.calls))

    assert worker_lanes(sent()) == worker_lanes(recorded)
    for client in clients:
        assert sent()[client] == recorded[client], client
    pings = {str(shape) for shape in recorded.get("ping", [])}
    await until(lambda: pings <= {str(shape) for shape in sent().get("ping", [])})


async def asks_for_jobs(endpoint: PlainEndpoint) -> None:
    """Wait until a worker has an open take."""
    await until(lambda: any(worker.open_takes for worker in endpoint.runpod.state.workers.workers.values()))


@pytest.mark.parametrize("version", sdk_versions())
async def test_plain_jobs(version: str, tmp_path: Path) -> None:
    """Success, an error key, an exception and an empty result, one after the other."""
    async with plain_endpoint(**HOLD) as endpoint, sdk_worker(version, endpoint.runpod, tmp_path):
        await asks_for_jobs(endpoint)
        inputs = ({"op": "echo", "x": 1}, {"op": "error", "v": "refused"}, {"op": "raise", "x": "!"}, {"op": "empty"})
        states = [(await run_sync(endpoint, given))["status"] for given in inputs]
        assert states == ["COMPLETED", "FAILED", "FAILED", "COMPLETED"]
        await assert_same(endpoint, "worker-plain-jobs")


@pytest.mark.parametrize("version", sdk_versions())
async def test_cancel(version: str, tmp_path: Path) -> None:
    """The worker hears of the cancel by job-stop and posts nothing. Its pings name the job, and later no job."""
    async with plain_endpoint(**HOLD) as endpoint, sdk_worker(version, endpoint.runpod, tmp_path):
        await asks_for_jobs(endpoint)
        job_id = await endpoint.run({"op": "sleep", "s": 30})
        await until(lambda: job_id in endpoint.runpod.state.workers.workers["pod0"].pinged_jobs)
        await endpoint.post(f"cancel/{job_id}")
        await until(lambda: not endpoint.runpod.state.workers.workers["pod0"].pinged_jobs)
        await assert_same(endpoint, "worker-cancel")


@pytest.mark.parametrize("version", sdk_versions())
async def test_progress_updates(version: str, tmp_path: Path) -> None:
    """Progress is posted on job-done like a result, and some of it even after the result."""
    switches = {**HOLD, "late_progress_reopens_job": False}
    async with plain_endpoint(**switches) as endpoint, sdk_worker(version, endpoint.runpod, tmp_path):
        await asks_for_jobs(endpoint)
        assert (await run_sync(endpoint, {"op": "progress", "n": 4}))["output"] == {"done": True}
        await until(lambda: len(endpoint.runpod.calls.of("job-done")) == 5)
        progress, final, late = lanes(recording("worker-progress-updates"))["job-1"]
        assert progress == late
        sent = lanes(logged(endpoint.runpod.calls.calls))["job-1"]
        assert sent.count(final) == 1
        assert {str(shape) for shape in sent} == {str(progress), str(final)}


@pytest.mark.parametrize("version", sdk_versions())
async def test_job_done_fails_twice(version: str, tmp_path: Path) -> None:
    """The result is sent again after 2 s and after 3 s, and the pings name the job until then."""
    async with plain_endpoint(**HOLD) as endpoint, sdk_worker(version, endpoint.runpod, tmp_path):
        await asks_for_jobs(endpoint)
        endpoint.runpod.faults.add(FaultRule("job-done", RunpodFault.STATUS, times=2, status=500))
        assert (await run_sync(endpoint, {"op": "echo"}))["status"] == "COMPLETED"
        calls = endpoint.runpod.calls.of("job-done")
        pauses = [round(later.at - call.at) for call, later in itertools.pairwise(calls)]
        assert ([call.status for call in calls], pauses) == ([500, 500, 200], [2, 3])
        await assert_same(endpoint, "worker-job-done-500-twice")


@pytest.mark.parametrize("version", sdk_versions())
async def test_a_generator(version: str, tmp_path: Path) -> None:
    """Each chunk is posted, and the result has all of them."""
    async with (
        plain_endpoint(**HOLD) as endpoint,
        sdk_worker(version, endpoint.runpod, tmp_path, "generator_handler.py"),
    ):
        await asks_for_jobs(endpoint)
        state = await run_sync(endpoint, {"n": 3})
        assert state["output"] == [{"k": 0}, {"k": 1}, {"k": 2}]
        sent = [call.status for call in endpoint.runpod.calls.of("job-stream")]
        assert sent == [200, 200, 200]
        await assert_same(endpoint, "worker-generator-aggregate")


@pytest.mark.parametrize("version", sdk_versions())
async def test_three_at_once(version: str, tmp_path: Path) -> None:
    """With free places the worker asks for batches of that size."""
    async with (
        plain_endpoint(**HOLD) as endpoint,
        sdk_worker(version, endpoint.runpod, tmp_path, "plain_handler.py", "3"),
    ):
        await asks_for_jobs(endpoint)
        for _ in range(4):
            await endpoint.run({"op": "sleep", "s": 1, "more": 0.5})
        await until(lambda: len(endpoint.runpod.calls.of("job-done")) == 4)
        await assert_same(endpoint, "worker-concurrency-3-batch")


@pytest.mark.parametrize("version", sdk_versions())
async def test_refresh(version: str, tmp_path: Path) -> None:
    """The result has `stopPod`, and the process ends when its long polls have returned."""
    async with (
        plain_endpoint(**HOLD) as endpoint,
        sdk_worker(version, endpoint.runpod, tmp_path, "plain_handler.py", "1", "refresh") as process,
    ):
        await asks_for_jobs(endpoint)
        await run_sync(endpoint, {"op": "echo"})
        assert endpoint.runpod.state.workers.workers["pod0"].stop_requested
        async with asyncio.timeout(LIMIT_S):
            assert await process.wait() == 0
        await assert_same(endpoint, "worker-refresh")


PICTURES = 7
"""Jobs of the recording that return a picture, whose results it has only in part. Two jobs with errors follow.

The two after those show errors of an older worker, which this one does not make.
"""


@pytest.mark.parametrize("version", NEWEST)
async def test_a_handler_that_forwards_to_our_worker(version: str, tmp_path: Path, engine: EngineHandle) -> None:
    """Pictures and errors of comfy-worker pass through the SDK as they did in the recording."""
    async with plain_endpoint(**HOLD) as endpoint, worker(engine, tmp_path / "gateway") as client:
        handler = ("forwarding_handler.py",)
        environ = {"GATEWAY_URL": client.app.url}
        async with sdk_worker(version, endpoint.runpod, tmp_path / "worker", *handler, **environ):
            await asks_for_jobs(endpoint)
            unknown = {"1": {"class_type": "Nope", "inputs": {}}}
            for workflow in [picture(color=number) for number in range(PICTURES)] + [unknown, unknown]:
                await run_sync(endpoint, {"workflow": workflow})
    recorded, sent = lanes(recording("worker-to-gateway")), lanes(logged(endpoint.runpod.calls.calls))
    assert sent["take"] == recorded["take"]
    image = {"data": "str", "filename": "str", "type": "str"}
    for number in range(1, PICTURES + 1):
        [shape] = sent[f"job-{number}"]
        assert shape.body == {"output": {"images": [image]}}
        assert [replace(shape, body="cut")] == recorded[f"job-{number}"]
    assert sent[f"job-{PICTURES + 2}"] == recorded[f"job-{PICTURES + 2}"]


@pytest.mark.parametrize("version", sdk_versions())
async def test_the_python_clients(version: str, tmp_path: Path) -> None:
    """The synchronous and the asynchronous client make the recorded calls, and get the results."""
    async with plain_endpoint(**HOLD) as endpoint, sdk_worker(version, endpoint.runpod, tmp_path / "worker"):
        await asks_for_jobs(endpoint)
        results = await run_python_client(version, endpoint.runpod, "python_client.py", tmp_path)
        assert results[0]["echo"] == {"op": "echo", "a": 1}
        assert results[4:10] == [True, {"slept": 1}, None, "CANCELLED", ["jobs", "workers"], "completed"]
        assert results[10] == {"slept": 1}
        await assert_same(endpoint, "client-python-sdk", "python-requests", "Python")


@pytest.mark.parametrize("version", NEWEST)
@needs_npm("runpod-sdk")
async def test_the_npm_client(version: str, tmp_path: Path) -> None:
    """It polls with status-sync while a job runs longer than its wait."""
    async with plain_endpoint(**HOLD) as endpoint, sdk_worker(version, endpoint.runpod, tmp_path / "worker"):
        await asks_for_jobs(endpoint)
        results = await run_npm_client(endpoint.runpod, tmp_path)
        assert (results["echoed"]["status"], results["slept"]["output"]) == ("COMPLETED", {"slept": 3})
        assert (results["failed"]["status"], results["purged"]["status"]) == ("FAILED", "completed")
        assert "404" in results["missing"]
        await assert_same(endpoint, "client-js-sdk", "RunPod-JS-SDK")
