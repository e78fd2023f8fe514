"""This worker sends the stand-in the requests that RunPod's SDK sent in the recordings, except for listed differences.

DIFFERENCES has what is different on purpose. Values and the content of outputs are never compared.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.engines import EngineHandle
from tests.platforms.runpod.workers import settings_for
from tests.simulators.runpod.endpoint import PlainEndpoint, plain_endpoint
from tests.simulators.runpod.exchanges import Lanes, RequestShape, lanes, logged, needs_recordings, recording
from tests.simulators.runpod.sdk.test_replay import HOLD, asks_for_jobs, run_sync, until
from tests.workflows import picture, slow
from worker.errors import StartupError
from worker.platforms.registry import choose
from worker.settings import Settings
from worker.simulators.runpod import FaultRule, RunpodFault

pytestmark = needs_recordings

DIFFERENCES = {
    "job_in_progress": "a take is sent while the result of the former job is on its way, so that it is 1 more often",
    "exception": "a failure has a text in `error` and fields in `output`. The SDK sends a traceback as JSON in `error`",
    "empty": "there is no empty result: a job without files has a status in `output`",
    "late progress": "no progress is sent after the result (R11)",
    "ping": "pings come from the process that runs the jobs, so their headers are those of its other calls (R5)",
    "generator": "only with WORKER_RUNPOD_STREAM is something sent to job-stream, and `isStream` true",
}
PICTURES = 7


@asynccontextmanager
async def queue_worker_at(
    endpoint: PlainEndpoint, settings: Settings, **environ: str
) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker of the stand-in's endpoint, in this process, and wait until it asks for jobs."""
    variables = {**endpoint.runpod.worker_environ("pod0"), "WORKER_RUNPOD_PROGRESS": "0", **environ}
    serving = asyncio.create_task(choose("runpod", variables).platform.serve(settings, variables))
    try:
        await asks_for_jobs(endpoint)
        yield serving
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError, StartupError):
            await serving


def protocol(shape: RequestShape) -> RequestShape:
    """Return what the protocol fixes: no content of outputs, and nothing that DIFFERENCES has for all calls."""
    query = tuple("job_in_progress" if name.startswith("job_in_progress") else name for name in shape.query)
    keys = sorted(shape.body) if isinstance(shape.body, dict) else shape.body
    is_ping = shape.path.startswith("ping")
    headers, content_type = ((), "") if is_ping else (shape.headers, shape.content_type)
    return replace(shape, query=query, body=keys, headers=headers, content_type=content_type)


def compared(found: Lanes) -> dict[str, list[RequestShape]]:
    """Return the lanes of the worker. A request that is repeated is one."""
    result: dict[str, list[RequestShape]] = {}
    for name, shapes in found.items():
        if name.startswith(("take", "stop", "job-", "ping")):
            result[name] = list(dict.fromkeys(map(_hashable, map(protocol, shapes))))
    return result


def _hashable(shape: RequestShape) -> RequestShape:
    return replace(shape, body=tuple(shape.body) if isinstance(shape.body, list) else shape.body)


def both(endpoint: PlainEndpoint, name: str) -> tuple[dict[str, list[RequestShape]], dict[str, list[RequestShape]]]:
    """Return the lanes that were sent, and those of a recording."""
    return compared(lanes(logged(endpoint.runpod.calls.calls))), compared(lanes(recording(name)))


def bodies(found: dict[str, list[RequestShape]], lane: str) -> list[Any]:
    return [shape.body for shape in found[lane]]


async def test_plain_jobs(engine: EngineHandle, tmp_path: Path) -> None:
    """Success, an error, and a failure of a node."""
    async with plain_endpoint(**HOLD) as endpoint, queue_worker_at(endpoint, settings_for(engine, tmp_path)):
        unknown = {"1": {"class_type": "Nope", "inputs": {}}}
        states = [(await run_sync(endpoint, {"workflow": workflow}))["status"] for workflow in (picture(), unknown)]
        states.append((await run_sync(endpoint, {"workflow": {}}))["status"])
        assert states == ["COMPLETED", "FAILED", "FAILED"]
        await until(lambda: endpoint.runpod.calls.of("ping"))
    sent, recorded = both(endpoint, "worker-plain-jobs")
    assert sent["take"] == recorded["take"]
    assert sent["ping"] == recorded["ping"]
    assert (sent["job-1"], sent["job-2"]) == (recorded["job-1"], recorded["job-2"])
    assert bodies(recorded, "job-3") == [("error",)], DIFFERENCES["exception"]
    assert bodies(sent, "job-3") == [("error", "output")]
    assert [replace(sent["job-3"][0], body=None)] == [replace(recorded["job-3"][0], body=None)]
    assert bodies(recorded, "job-4") == [()], DIFFERENCES["empty"]


async def test_cancel(engine: EngineHandle, tmp_path: Path) -> None:
    """The job is stopped by job-stop, and nothing is posted for it. Pings name the job, and later no job."""
    async with (
        plain_endpoint(**HOLD) as endpoint,
        queue_worker_at(endpoint, settings_for(engine, tmp_path), RUNPOD_PING_INTERVAL="1000"),
    ):
        job_id = await endpoint.run({"workflow": slow(30, steps=300)})
        await until(lambda: job_id in endpoint.runpod.state.workers.workers["pod0"].pinged_jobs)
        await endpoint.post(f"cancel/{job_id}")
        await until(lambda: not endpoint.runpod.state.workers.workers["pod0"].pinged_jobs)
    sent, recorded = both(endpoint, "worker-cancel")
    assert sent.keys() == recorded.keys()
    assert (sent["take"], sent["stop"]) == (recorded["take"], recorded["stop"])
    assert set(recorded["ping"]) <= set(sent["ping"])


async def test_progress_updates(engine: EngineHandle, tmp_path: Path) -> None:
    """Progress has the form of a result with a status, and the result is the last request of the job."""
    async with (
        plain_endpoint(**HOLD) as endpoint,
        queue_worker_at(endpoint, settings_for(engine, tmp_path), WORKER_RUNPOD_PROGRESS="1"),
    ):
        assert (await run_sync(endpoint, {"workflow": slow(2.5, steps=25)}))["status"] == "COMPLETED"
    sent = lanes(logged(endpoint.runpod.calls.calls))["job-1"]
    progress, final, late = map(protocol, lanes(recording("worker-progress-updates"))["job-1"])
    assert late == progress, DIFFERENCES["late progress"]
    assert [protocol(shape) for shape in sent[-2:]] == [progress, final]
    assert {str(protocol(shape)) for shape in sent[:-1]} == {str(progress)}


async def test_job_done_fails_twice(engine: EngineHandle, tmp_path: Path) -> None:
    """The same result is sent three times, and pings name the job until then."""
    async with plain_endpoint(**HOLD) as endpoint, queue_worker_at(endpoint, settings_for(engine, tmp_path)):
        endpoint.runpod.faults.add(FaultRule("job-done", RunpodFault.STATUS, times=2, status=500))
        assert (await run_sync(endpoint, {"workflow": picture()}))["status"] == "COMPLETED"
        assert [call.status for call in endpoint.runpod.calls.of("job-done")] == [500, 500, 200]
    sent, recorded = both(endpoint, "worker-job-done-500-twice")
    assert (sent["take"], sent["job-1"]) == (recorded["take"], recorded["job-1"])


async def test_refresh(engine: EngineHandle, tmp_path: Path) -> None:
    """The result has `stopPod`, and the worker ends."""
    async with (
        plain_endpoint(**HOLD) as endpoint,
        queue_worker_at(endpoint, settings_for(engine, tmp_path), REFRESH_WORKER="true") as serving,
    ):
        await run_sync(endpoint, {"workflow": picture()})
        async with asyncio.timeout(20):
            await serving
        assert endpoint.runpod.state.workers.workers["pod0"].stop_requested
    sent, recorded = both(endpoint, "worker-refresh")
    assert (sent["take"], sent["job-1"]) == (recorded["take"], recorded["job-1"])


async def test_pictures(engine: EngineHandle, tmp_path: Path) -> None:
    """Seven pictures and an error, as a handler before this worker returned them."""
    async with plain_endpoint(**HOLD) as endpoint, queue_worker_at(endpoint, settings_for(engine, tmp_path)):
        unknown = {"1": {"class_type": "Nope", "inputs": {}}}
        for workflow in [*(picture() for _ in range(PICTURES)), unknown, unknown]:
            await run_sync(endpoint, {"workflow": workflow})
    sent, recorded = lanes(logged(endpoint.runpod.calls.calls)), lanes(recording("worker-to-gateway"))
    for number in range(1, PICTURES + 1):
        [shape] = sent[f"job-{number}"]
        assert shape.body == {"output": {"images": [{"data": "str", "filename": "str", "type": "str"}]}}
        assert [replace(shape, body="cut")] == recorded[f"job-{number}"]
    error = f"job-{PICTURES + 2}"
    assert [protocol(shape) for shape in sent[error]] == [protocol(shape) for shape in recorded[error]]


async def test_free_engines_take_a_batch(tmp_path: Path) -> None:
    """With three free engines, the first take is a batch of three. The SDK asks so for three free places."""
    settings = Settings.of(comfyui="embedded", gpus="3", port=0, state=tmp_path)
    async with plain_endpoint(**HOLD) as endpoint, queue_worker_at(endpoint, settings):
        takes = endpoint.runpod.calls
        await until(lambda: any("batch_size=3" in call.path for call in takes.of("job-take-batch")))
        ids = [await endpoint.run({"workflow": slow(1, steps=10)}) for _ in range(4)]
        for job_id in ids:
            await until(lambda job_id=job_id: endpoint.runpod.state.jobs.jobs[job_id].status.is_final)
    sent, recorded = both(endpoint, "worker-concurrency-3-batch")
    batches = {shape for shape in sent["take"] if shape.path.startswith("job-take-batch")}
    assert {shape for shape in recorded["take"] if "batch_size=3" in shape.query} <= batches
    assert sent["job-1"] == recorded["job-1"]


async def test_a_stream(engine: EngineHandle, tmp_path: Path) -> None:
    """With WORKER_RUNPOD_STREAM, updates are the parts of a stream, as the parts of a generator are."""
    environ = {"WORKER_RUNPOD_PROGRESS": "1", "WORKER_RUNPOD_STREAM": "true"}
    async with plain_endpoint(**HOLD) as endpoint, queue_worker_at(endpoint, settings_for(engine, tmp_path), **environ):
        job_id = await endpoint.run({"workflow": slow(3.5, steps=35)})
        await until(lambda: endpoint.runpod.state.jobs.jobs[job_id].status.is_final)
        _, stream = await endpoint.get(f"stream/{job_id}")
        assert {"state", "step"} <= stream["stream"][0]["output"].keys()
    sent, recorded = both(endpoint, "worker-generator-aggregate")
    assert (sent["take"], sent["job-1"]) == (recorded["take"], recorded["job-1"])


@pytest.mark.parametrize("policy", [{"executionTimeout": 1500}, {"ttl": 2500}], ids=str)
async def test_policies_reach_comfyui(engine: EngineHandle, tmp_path: Path, policy: dict[str, int]) -> None:
    """A job that has timed out or expired stops in ComfyUI: the next one runs. Nothing is posted for it."""
    async with (
        plain_endpoint(**HOLD, least_execution_timeout_s=1.0) as endpoint,
        queue_worker_at(endpoint, settings_for(engine, tmp_path)),
    ):
        job_id = await endpoint.run({"workflow": slow(60, steps=600)}, policy=policy)
        assert (await run_sync(endpoint, {"workflow": picture()}))["status"] == "COMPLETED"
        assert (await endpoint.status(job_id))["status"] in ("TIMED_OUT", 404)
        assert not [call for call in endpoint.runpod.calls.of("job-done") if job_id in call.path]
