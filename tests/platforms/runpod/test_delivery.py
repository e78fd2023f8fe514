"""Results reach RunPod: after errors, after a restart, through a bucket, or as an error that says what to do."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.engines import EngineHandle
from tests.handlers.apps import write_app
from tests.platforms.runpod.gateway import DROP, running_gateway
from tests.platforms.runpod.workers import queue_worker, settings_for
from tests.platforms.test_pull_platform import noise
from tests.storage.buckets import KEY_ID, SECRET, WholeBucket, whole_bucket
from tests.workflows import picture, slow
from worker.platforms.runpod.queue.undelivered import FOLDER, UndeliveredResults

LARGE_SIDE = 1750
"""Side of an image of noise whose base64 has about 12 MB: too large for /run, not for /runsync."""


@pytest.fixture(scope="module")
def bucket() -> Iterator[WholeBucket]:
    with whole_bucket() as found:
        yield found


@pytest.fixture(scope="module")
def large() -> dict[str, Any]:
    """A job whose result has about 12 MB."""
    workflow = picture()
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "noise.png"}}
    return {"workflow": workflow, "images": [{"name": "noise.png", "image": noise(LARGE_SIDE)}]}


def records(state: Path) -> list[Path]:
    """Return the records of undelivered results."""
    return list((state / FOLDER).glob("*")) if (state / FOLDER).exists() else []


@pytest.mark.parametrize("statuses", [[DROP, 500, 503], [429], [401]], ids=str)
async def test_a_result_is_sent_until_it_is_accepted(engine: EngineHandle, tmp_path: Path, statuses: list[int]) -> None:
    """R2: dropped connections and 5xx cost no result. It is accepted once, and not kept any longer."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.done_statuses = list(statuses)
        gateway.send("a-e1", input={"workflow": picture()})
        assert "images" in (await gateway.result("a-e1"))["output"]
        assert len(gateway.calls("job-done")) == len(statuses) + 1
        gateway.send("b-e1", input={"workflow": picture()})
        await gateway.result("b-e1")
        assert len(gateway.accepted["a-e1"]) == 1
    assert records(tmp_path) == []


async def test_a_result_that_is_rejected_becomes_an_error(engine: EngineHandle, tmp_path: Path) -> None:
    """R1: after 400, an error is sent in its place, so that the job does not stay in progress."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.done_statuses = [400]
        gateway.send("a-e1", input={"workflow": picture()})
        result = await gateway.result("a-e1")
        assert "status 400" in result["error"]
        assert result["output"]["error_info"]["retryable"] is True
        gateway.done_statuses = [400, 400]
        gateway.send("b-e1", input={"workflow": picture()})
        await gateway.until(lambda: not gateway.done_statuses)
        gateway.send("c-e1", input={"workflow": picture()})
        await gateway.result("c-e1")
        assert "b-e1" not in gateway.accepted
    assert records(tmp_path) == []


async def test_a_large_result_is_an_error_with_its_cure(
    engine: EngineHandle, tmp_path: Path, large: dict[str, Any]
) -> None:
    """R1: a result above the limit of its kind of job is an error that names the bucket, and is never posted."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.send("a-e1", input=large)
        result = await gateway.result("a-e1")
        assert result["output"]["error_info"]["code"] == "output_too_large_for_inline"
        for cure in ("s3Config", "BUCKET_ENDPOINT_URL", "9,500,000"):
            assert cure in result["error"]
        gateway.send("sync-b-e1", input=large)
        assert len((await gateway.result("sync-b-e1"))["output"]["images"][0]["data"]) > 10_000_000


async def test_large_results_go_to_a_bucket(
    engine: EngineHandle, tmp_path: Path, large: dict[str, Any], bucket: WholeBucket
) -> None:
    """The bucket of the endpoint gets the pictures and a large return value of a handler. So does `s3Config`."""
    keys = {"s3_access_key_id": KEY_ID, "s3_secret_access_key": SecretStr(SECRET)}
    operators = {"s3_bucket": "pictures", "s3_endpoint": bucket.url, **keys}
    handlers = {"handlers": write_app(tmp_path / "app"), "handlers_port": 0}
    own = {"accessId": KEY_ID, "accessSecret": SECRET, "bucketName": "pictures", "endpointUrl": bucket.url}
    allowed = {"s3_allowed_hosts": bucket.url.removeprefix("http://")}
    settings = settings_for(engine, tmp_path / "state", **operators, **handlers, **allowed)
    async with running_gateway() as gateway, queue_worker(gateway, settings):
        gateway.send("a-e1", input=large)
        image = (await gateway.result("a-e1"))["output"]["images"][0]
        assert image["type"] == "s3_url"
        assert bucket.url in image["data"]
        gateway.send("own-e1", input={"workflow": picture()}, s3Config=own)
        assert (await gateway.result("own-e1"))["output"]["images"][0]["type"] == "s3_url"
        gateway.send("h-e1", input={"handler": "returns", "arguments": {"megabytes": 12}})
        assert bucket.url in (await gateway.result("h-e1"))["output"]["url"]


async def test_handlers_are_called_by_their_name(engine: EngineHandle, tmp_path: Path) -> None:
    """The return value is the output. Errors, and return values that are no JSON, are results too."""
    settings = settings_for(engine, tmp_path / "state", handlers=write_app(tmp_path / "app"), handlers_port=0)
    async with running_gateway() as gateway, queue_worker(gateway, settings):
        gateway.send("a-e1", input={"handler": "greet", "arguments": {"name": "you"}})
        assert (await gateway.result("a-e1"))["output"] == {"text": "hello you ", "loud": False}
        gateway.send("b-e1", input={"handler": "file"})
        assert (await gateway.result("b-e1"))["output"]["media_type"] == "image/png"
        gateway.send("c-e1", input={"handler": "value", "arguments": {"kind": "none"}})
        assert (await gateway.result("c-e1")) == {"output": None}
        for job_id, call, code in (
            ("d-e1", {"handler": "nope"}, "unknown_handler"),
            ("e-e1", {"handler": "unsupported", "arguments": {"kind": "nan"}}, "unsupported_result"),
            ("f-e1", {"handler": "fails"}, "handler_failed"),
            ("g-e1", {"handler": "exits"}, "handler_failed"),
            ("h-e1", {"handler": "crashes"}, "handler_crashed"),
            ("i-e1", {"handler": "greet", "arguments": []}, "invalid_json"),
            ("j-e1", {"handler": 3}, "invalid_field"),
        ):
            gateway.send(job_id, input=call)
            assert (await gateway.result(job_id))["output"]["error_info"]["code"] == code, job_id


async def test_results_survive_a_restart(engine: EngineHandle, tmp_path: Path) -> None:
    """A worker that is started again sends what the former one could not, and does not run the job again."""
    settings = settings_for(engine, tmp_path, drain_s=1.0)
    async with running_gateway(hold_s=0.5) as gateway:
        async with queue_worker(gateway, settings):
            gateway.done_statuses = [500] * 1000
            gateway.send("a-e1", input={"workflow": picture()})
            await gateway.until(lambda: gateway.calls("job-done"))
        assert len(records(tmp_path)) == 1
        gateway.done_statuses = []
        async with queue_worker(gateway, settings):
            result = await gateway.result("a-e1")
            gateway.send("b-e1", input={"workflow": picture()})
            await gateway.result("b-e1")
        assert "images" in result["output"]
        assert len(gateway.accepted["a-e1"]) == 1
        first = [call.json for call in gateway.calls("job-done") if call.job_id == "a-e1"]
        assert all(body == first[0] for body in first)
    assert records(tmp_path) == []


async def test_a_job_that_was_never_stored_is_answered_after_a_restart(engine: EngineHandle, tmp_path: Path) -> None:
    """A worker that died between the take and the journal answers the job with an error that says to retry."""
    await UndeliveredResults(tmp_path / FOLDER).begin("a-e1")
    (tmp_path / FOLDER / "damaged").write_bytes(b"no JSON\n")
    (tmp_path / FOLDER / "half.part").write_bytes(b"")
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        result = await gateway.result("a-e1")
        assert result["output"]["error_info"]["retryable"] is True
        assert "restarted" in result["error"]


async def test_a_full_disk_costs_no_result(engine: EngineHandle, tmp_path: Path) -> None:
    """A result that cannot be kept on disk is sent all the same."""
    (tmp_path / FOLDER).symlink_to("/proc/nowhere")
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.send("a-e1", input={"workflow": picture()})
        assert "images" in (await gateway.result("a-e1"))["output"]


async def test_a_job_that_is_delivered_again_finds_its_result(engine: EngineHandle, tmp_path: Path) -> None:
    """A job that RunPod gives to the worker twice runs once, and one that is running is not started again."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        request = {"workflow": slow(0.5, steps=5)}
        gateway.send("a-e1", input=request)
        gateway.send("a-e1", input=request)
        first = await gateway.result("a-e1")
        gateway.send("a-e1", input=request)
        await gateway.until(lambda: len(gateway.accepted["a-e1"]) == 2)
        assert gateway.accepted["a-e1"] == [first, first]


async def test_progress_is_in_order_and_never_after_the_result(engine: EngineHandle, tmp_path: Path) -> None:
    """R11: updates are a second apart, grow, and end before the result. There are none for short jobs."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.send("a-e1", input={"workflow": slow(3.5, steps=35)})
        await gateway.result("a-e1")
        gateway.send("b-e1", input={"workflow": picture()})
        await gateway.result("b-e1")
        updates = gateway.progress["a-e1"]
        assert len(updates) in {2, 3}
        assert all(later.at - earlier.at > 0.9 for earlier, later in itertools.pairwise(updates))
        steps = [update.json["output"]["step"]["value"] for update in updates if update.json["output"]["step"]]
        assert steps == sorted(steps)
        posts = [call for call in gateway.calls("job-done") if call.job_id == "a-e1"]
        assert "status" not in posts[-1].json
        assert "b-e1" not in gateway.progress


async def test_the_calls_have_the_form_of_the_sdk(engine: EngineHandle, tmp_path: Path) -> None:
    """Bare key, content types and ids as RunPod's SDK sends them. R10: no other job's id in a header."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.send("a-e1", input={"workflow": picture()})
        await gateway.result("a-e1")
        await gateway.until(lambda: gateway.calls("ping"))
        take, done = gateway.calls("job-take")[0], gateway.calls("job-done")[0]
        assert take.headers["Content-Type"] == "application/json"
        assert "X-Request-ID" not in gateway.calls("job-take")[-1].headers
        assert done.headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert (done.headers["charset"], done.headers["X-Request-ID"]) == ("utf-8", "a-e1")
        for call in gateway.exchanges:
            assert call.headers["Authorization"] == "worker-key-canary"
            assert call.query["gpu"] == "FAKE"


async def test_a_worker_that_refreshes_itself_stops_its_pod(engine: EngineHandle, tmp_path: Path) -> None:
    """R12: with REFRESH_WORKER, the result stops the pod, no other job is taken, and the process ends at once."""
    async with (
        running_gateway(hold_s=20) as gateway,
        queue_worker(gateway, settings_for(engine, tmp_path), REFRESH_WORKER="true") as serving,
    ):
        gateway.send("a-e1", input={"workflow": picture()})
        gateway.send("b-e1", input={"workflow": picture()})
        assert (await gateway.result("a-e1"))["stopPod"] is True
        async with asyncio.timeout(10):
            await serving
        assert gateway.jobs.qsize() == 1
