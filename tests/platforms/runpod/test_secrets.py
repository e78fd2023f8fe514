"""No secret of a job or an account gets into results, progress, logs, the journal or the records on disk."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path

import pytest

from tests.engines import EngineHandle
from tests.platforms.comfy_worker import __file__ as script
from tests.platforms.runpod.gateway import KEY, Gateway, running_gateway
from tests.platforms.runpod.workers import queue_worker, settings_for
from tests.workflows import hidden, picture, slow
from worker.cli.hosting.environment import without_settings

S3_SECRET, COMFY_KEY, QUERY, PASSWORD = "s3-canary", "comfy-key-canary", "query-canary", "password-canary"
CANARIES = (KEY, S3_SECRET, COMFY_KEY, QUERY, PASSWORD)


def with_url(url: str) -> dict[str, object]:
    """Return a job whose input file has this URL."""
    workflow = picture()
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "a.png"}}
    return {"workflow": workflow, "images": [{"name": "a.png", "image": url}]}


def send_all(gateway: Gateway) -> list[str]:
    """Send jobs that fail with their secrets at hand, and return their ids."""
    bucket = {"accessId": "id", "accessSecret": S3_SECRET, "bucketName": "b", "endpointUrl": "https://s3.invalid"}
    gateway.send("s3-e1", input={"workflow": picture()}, s3Config=bucket)
    gateway.send("s3-inside-e1", input={"workflow": picture(), "s3Config": bucket})
    gateway.send("s3-part-e1", input={"workflow": picture()}, s3Config={"accessSecret": S3_SECRET})
    gateway.send("key-e1", input={"workflow": hidden(raises=True), "comfy_org_api_key": COMFY_KEY})
    gateway.send("url-e1", input=with_url(f"https://files.invalid/a.png?X-Amz-Signature={QUERY}"))
    gateway.send("port-e1", input=with_url(f"http://127.0.0.1:1/a.png?sig={QUERY}"))
    gateway.send("run-e1", input={"workflow": slow(2.2, steps=22), "comfy_org_api_key": COMFY_KEY})
    return ["s3-e1", "s3-inside-e1", "s3-part-e1", "key-e1", "url-e1", "port-e1", "run-e1"]


def found_in(data: bytes) -> list[str]:
    return [canary for canary in CANARIES if canary.encode() in data]


async def test_no_secret_leaves_the_worker(
    engine: EngineHandle, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The canaries are in no body that is sent to RunPod, in no log line, and in no file of the state folder."""
    caplog.set_level(logging.DEBUG)
    async with running_gateway() as gateway, queue_worker(gateway, settings_for(engine, tmp_path)):
        gateway.done_statuses = [500, -1]
        ids = send_all(gateway)
        for job_id in ids:
            await gateway.result(job_id)
        assert "run-e1" in gateway.progress
        for call in gateway.exchanges:
            assert found_in(call.body) == [], (call.call, call.job_id)
        for path in tmp_path.rglob("*"):
            assert not path.is_file() or found_in(path.read_bytes()) == [], path
    worker_log = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("worker"))
    assert found_in(worker_log.encode()) == []
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or found_in(path.read_bytes()) == [], path


async def test_a_process_prints_no_variable(engine: EngineHandle, tmp_path: Path) -> None:
    """Neither the key of the worker nor a registry's password is in the output of a process that fails to start."""
    async with running_gateway() as gateway:
        variables = gateway.environ(
            REGISTRY_PASSWORD=PASSWORD, RUNPOD_WEBHOOK_POST_OUTPUT=f"{gateway.url}/none?k={QUERY}"
        )
        environ = {
            **without_settings(os.environ),
            **variables,
            "WORKER_STATE": str(tmp_path / "state"),
            "WORKER_PLATFORM": "runpod",
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, script), env={**environ, "WORKER_COMFYUI": engine.url}, stdout=-1, stderr=-2
        )
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        assert process.returncode == 1
        assert b"RUNPOD_WEBHOOK_POST_OUTPUT" in output
        assert found_in(output) == []
