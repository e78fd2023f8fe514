"""Jobs whose input is a whole request: `{"input": {"request": ...}}` gets `{"status", "body"}`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.conftest import Client
from tests.engines import EngineHandle
from tests.handlers.apps import write_app
from tests.platforms.runpod.gateway import running_gateway
from tests.platforms.runpod.workers import queue_worker, settings_for
from tests.platforms.test_pull_platform import noise
from tests.storage.buckets import KEY_ID, SECRET, whole_bucket
from tests.workflows import faulty, picture
from worker.dialects import BY_NAME

UNKNOWN_CLASS = {"1": {"class_type": "Nope", "inputs": {}}}


def requests(workflow: object) -> dict[str, dict[str, Any]]:
    """Return a request in each dialect, with an id that its client has chosen."""
    return {
        "native": {"workflow": workflow, "id": "mine"},
        "vast": {"input": {"workflow_json": workflow, "request_id": "mine", "return_outputs_as_base64": True}},
        "runpod": {"input": {"workflow": workflow}},
    }


def large(side: int) -> dict[str, Any]:
    """Return a request whose picture of noise has this side."""
    workflow = picture()
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "noise.png"}}
    return {"workflow": workflow, "inputs": {"noise.png": noise(side)}}


async def test_a_request_of_any_dialect_gets_the_status_and_the_body_of_its_response(
    engine: EngineHandle, tmp_path: Path
) -> None:
    """A failure is a failed job for RunPod, and a text that has the status is beside the same body."""
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        for name, request in requests(picture()).items():
            gateway.send(f"{name}-e1", input={"request": request})
        for name, request in requests(UNKNOWN_CLASS).items():
            gateway.send(f"{name}-wrong-e1", input={"request": request})
        gateway.send("fails-e1", input={"request": {"workflow": faulty("raise")}})
        fields = {"native": "outputs", "vast": "output", "runpod": "images"}
        for name, field in fields.items():
            output = (await gateway.result(f"{name}-e1"))["output"]
            assert output.keys() == {"status", "body"}
            assert output["status"] == 200
            assert output["body"][field]
        for name in fields:
            result = await gateway.result(f"{name}-wrong-e1")
            assert result["error"].startswith("HTTP 422 invalid_workflow: ")
            assert result["output"]["status"] == 422
            error = result["output"]["body"]
            assert (error.get("error_info") or error["error"])["code"] == "invalid_workflow"
        failed = await gateway.result("fails-e1")
        assert failed["output"]["body"]["error"]["details"][0]["node_id"] == "4"


async def test_handlers_and_large_results(engine: EngineHandle, tmp_path: Path) -> None:
    """The body of a handler's call is what it returns. A result that is too large names the cure in the same form."""
    settings = settings_for(engine, tmp_path / "state", handlers=write_app(tmp_path / "app"), handlers_port=0)
    async with running_gateway() as gateway, queue_worker(gateway, settings):
        call = {"input": {"handler": "greet", "arguments": {"name": "you"}}}
        gateway.send("call-e1", input={"request": call})
        output = (await gateway.result("call-e1"))["output"]
        assert output == {"status": 200, "body": {"text": "hello you ", "loud": False}}
        gateway.send("nope-e1", input={"request": {"input": {"handler": "nope"}}})
        output = (await gateway.result("nope-e1"))["output"]
        assert (output["status"], output["body"]["error_info"]["code"]) == (404, "unknown_handler")
        gateway.send("large-e1", input={"request": large(1300)})
        result = await gateway.result("large-e1")
        assert result["output"]["body"]["error"]["code"] == "output_too_large_for_inline"
        assert "BUCKET_ENDPOINT_URL" in result["error"]


@pytest.mark.parametrize("side", [1300, 1750])
async def test_large_results_go_to_the_bucket_of_the_endpoint(engine: EngineHandle, tmp_path: Path, side: int) -> None:
    """A result above the limit of its job, or of every response, has URLs in place of data."""
    with whole_bucket() as bucket:
        keys = {"s3_access_key_id": KEY_ID, "s3_secret_access_key": SecretStr(SECRET)}
        settings = settings_for(engine, tmp_path, s3_bucket="pictures", s3_endpoint=bucket.url, **keys)
        async with running_gateway() as gateway, queue_worker(gateway, settings):
            gateway.send("large-e1", input={"request": {**large(side), "output_format": "base64"}})
            output = (await gateway.result("large-e1"))["output"]
            assert output["status"] == 200
            assert output["body"]["image"].startswith(bucket.url)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("dialect", [name for name in BY_NAME if name != "comfyui"])
async def test_the_workers_own_routes(shared_client: Client, dialect: str) -> None:
    """/runsync returns the same value, also for a request that cannot run."""
    status, done = await shared_client.post("/runsync", {"input": {"request": requests(picture())[dialect]}})
    assert (status, done["status"], done["output"]["status"]) == (200, "COMPLETED", 200)
    status, wrong = await shared_client.post("/runsync", {"input": {"request": requests(UNKNOWN_CLASS)[dialect]}})
    assert (status, wrong["status"], wrong["output"]["status"]) == (200, "FAILED", 422)
    assert wrong["error"].startswith("HTTP 422 invalid_workflow: ")
    status, failed = await shared_client.post("/runsync", {"input": {"request": requests(faulty("raise"))[dialect]}})
    assert (status, failed["status"], failed["output"]["status"]) == (200, "FAILED", 422)
