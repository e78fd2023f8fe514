"""The backend of RunPod: endpoints with the stock image, rate limits, and failures of the platform."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from tests.backends.server import serving
from tests.simulators.runpod.endpoint import PlainEndpoint, plain_endpoint
from tests.workflows import drawn, picture
from worker.backends.base import Backend, JobBody, JobReference, RemoteState
from worker.backends.registry import open_backend
from worker.backends.runpod.whole_result import whole_result
from worker.backends.settings import BackendSettings
from worker.errors import BackendRefused, BackendUnreachable

PNG = b"\x89PNG\r\n\x1a\n and so on"
RESTARTED = {"code": "unavailable", "message": "this worker was restarted"}
IMAGE = {"filename": "a_00001_.png", "type": "base64", "data": base64.b64encode(PNG).decode()}


def body_of(**fields: Any) -> JobBody:
    """Return a job."""
    return JobBody("key", json.dumps(fields).encode())


@asynccontextmanager
async def stock() -> AsyncIterator[tuple[PlainEndpoint, Backend]]:
    """An endpoint whose worker is played by the test, as one with the image of worker-comfyui."""
    async with plain_endpoint() as endpoint:
        key = SecretStr(endpoint.runpod.api_key)
        url = "runpod://comfy?dialect=worker-comfyui"
        async with open_backend(BackendSettings("mine", url, key, api_url=endpoint.runpod.base_url)) as backend:
            yield endpoint, backend


async def read(backend: Backend, reference: JobReference) -> tuple[int, Any]:
    """Return status and body of a result."""
    async with asyncio.timeout(30), backend.result(reference) as response:
        return response.status, json.loads(await response.read())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"workflow": picture(), "inputs": {"a.png": base64.b64encode(PNG).decode()}}, ("outputs", "data")),
        ({"workflow": drawn()}, ("outputs", "data")),
        ({"template": "smoke-resize"}, ("outputs", "data")),
        ({"input": {"workflow": picture()}}, ("images", "data")),
        ({"input": {"workflow_json": picture(), "return_outputs_as_base64": True}}, ("output", "data")),
    ],
    ids=["native", "editor", "template", "runpod", "vast"],
)
async def test_the_stock_image_gets_its_own_form(fields: dict[str, Any], expected: tuple[str, str]) -> None:
    """It gets an API workflow with images in base64, and its result has the form of the caller's dialect."""
    async with stock() as (endpoint, backend):
        reference = await backend.submit(body_of(**fields))
        taken = await endpoint.worker().take()
        assert all("class_type" in node for node in taken["input"]["workflow"].values())
        if "inputs" in fields:
            assert taken["input"]["images"] == [{"name": "a.png", "image": fields["inputs"]["a.png"]}]
        await endpoint.worker().done(taken["id"], {"output": {"images": [IMAGE]}})
        status, body = await read(backend, reference)
        field, part = expected
        assert (status, body[field][0][part]) == (200, IMAGE["data"])
        assert (await backend.status(reference)).state is RemoteState.SUCCEEDED


async def test_what_the_stock_image_reports_as_an_error() -> None:
    """A text becomes an error of the job, in the dialect of the caller."""
    async with stock() as (endpoint, backend):
        reference = await backend.submit(body_of(workflow=picture()))
        taken = await endpoint.worker().take()
        await endpoint.worker().done(taken["id"], {"error": "Workflow validation failed: no such model"})
        status, body = await read(backend, reference)
        assert (status, body["error"]["code"]) == (422, "job_failed")
        assert "no such model" in body["error"]["message"]


@pytest.mark.parametrize(
    ("fields", "elsewhere"),
    [
        ({"input": {"handler": "any"}}, True),
        ({"workflow": picture(), "inputs": {"a.png": "https://example.com/a.png"}}, True),
        ({"workflow": picture(), "output_format": "url"}, True),
        ({"workflow": picture(), "webhook": {"url": "https://example.com/hook"}}, True),
        ({"workflow": {"1": {"inputs": {}}}}, False),
        ({"nonsense": 1}, False),
    ],
    ids=["handler", "input by URL", "output by URL", "webhook", "no class", "nonsense"],
)
async def test_what_the_stock_image_cannot_run(fields: dict[str, Any], elsewhere: bool) -> None:
    """Another backend may run it, unless the job itself is wrong. Nothing is sent."""
    async with stock() as (endpoint, backend):
        with pytest.raises(BackendRefused) as raised:
            await backend.submit(body_of(**fields))
        assert raised.value.elsewhere == elsewhere
        assert json.loads(raised.value.body)["status"] == "error"
        assert not endpoint.runpod.state.jobs.jobs


async def test_a_request_that_is_too_large_is_not_sent() -> None:
    """RunPod would reject it."""
    sent: list[web.Request] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        sent.append(request)
        return web.json_response({"id": "a"})

    async with serving(handle) as url:
        settings = BackendSettings("mine", "runpod://id", SecretStr("key"), api_url=url)
        async with open_backend(settings) as backend:
            with pytest.raises(BackendRefused, match="10,000,000") as raised:
                await backend.submit(JobBody("key", b'{"workflow": "%b"}' % (b"x" * 10_000_000)))
    assert (raised.value.status, raised.value.elsewhere, sent) == (413, True, [])


async def test_rate_limits_and_an_api_that_cannot_wait() -> None:
    """A submission is refused with the time. Questions wait for it. Without /status-sync, the status is polled."""
    asked: list[str] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        kind = request.path.split("/")[2]
        asked.append(kind)
        if kind == "run":
            return web.json_response({"error": "slow down"}, status=429, headers={"Retry-After": "3"})
        if kind == "status-sync":
            return web.json_response({}, status=405)
        if asked.count("status") == 1:
            return web.json_response({}, status=429, headers={"Retry-After": "1"})
        if asked.count("status") == 2:
            return web.json_response({"id": "a", "status": "IN_PROGRESS", "output": {"step": {"value": 1, "max": 2}}})
        return web.json_response({"id": "a", "status": "COMPLETED", "output": {"status": 200, "body": {"ok": 1}}})

    async with serving(handle) as url:
        settings = BackendSettings("mine", "runpod://id", SecretStr("key"), api_url=url)
        async with open_backend(settings) as backend:
            with pytest.raises(BackendRefused) as raised:
                await backend.submit(body_of(workflow={}))
            assert (raised.value.retry_after_s, raised.value.elsewhere) == (3.0, True)
            status = await backend.status(JobReference("a"))
            assert (status.state, status.progress) == (RemoteState.RUNNING, {"step": {"value": 1, "max": 2}})
            assert await read(backend, JobReference("a")) == (200, {"ok": 1})


async def test_an_outage_is_no_lost_job() -> None:
    """A 500 is BackendUnreachable."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(status=500)

    async with serving(handle) as url:
        settings = BackendSettings("mine", "runpod://id", SecretStr("key"), api_url=url)
        async with open_backend(settings) as backend:
            for operation in (backend.status, backend.cancel, lambda reference: read(backend, reference)):
                with pytest.raises(BackendUnreachable, match="500"):
                    await operation(JobReference("a"))


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        ({"status": "FAILED", "error": "HTTP 422 node_failed: it broke"}, 422, "node_failed"),
        ({"status": "FAILED", "error": "t", "output": {"error_info": RESTARTED}}, 503, "unavailable"),
        ({"status": "FAILED", "error": "worker exited with code 137"}, 500, "internal_error"),
        ({"status": "TIMED_OUT"}, 422, "timeout"),
        ({"status": "CANCELLED", "output": {"state": "generating"}}, 499, "cancelled"),
        ({"status": "COMPLETED", "output": "text of another image"}, 500, "internal_error"),
    ],
    ids=["text alone", "after a restart", "platform", "timeout", "cancelled", "another image"],
)
def test_failures_of_the_platform(answer: dict[str, Any], status: int, code: str) -> None:
    """Each has an HTTP status, and a body in the dialect of the job."""
    for dialect, field in (("native", "error"), ("vast", "error"), ("runpod", "error_info"), ("", "error")):
        result = whole_result({"id": "a", **answer}, dialect)
        assert (result.status, result.body[field]["code"]) == (status, code)
