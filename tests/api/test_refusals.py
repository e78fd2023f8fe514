"""Requests that cannot run get a status, a code, the place and a remedy."""

from __future__ import annotations

import io
from pathlib import Path

import aiohttp
import pytest

from tests.conftest import Client, shared_client, worker
from tests.engines import EngineHandle
from tests.workflows import picture
from worker.app import build
from worker.platforms.vast.platform import Vast
from worker.settings import Settings

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

REFUSED = [
    pytest.param(b"", 400, "invalid_json", id="empty"),
    pytest.param(b"{", 400, "invalid_json", id="broken"),
    pytest.param(b"[]", 400, "invalid_json", id="a list"),
    pytest.param(b"null", 400, "invalid_json", id="null"),
    pytest.param(b"{}", 400, "invalid_field", id="nothing"),
    pytest.param(b'{"workflow": {}, "workflw": 1}', 400, "unknown_field", id="unknown field"),
    pytest.param(b'{"workflow": {}, "timeout_s": -1}', 400, "invalid_field", id="negative timeout"),
    pytest.param(b'{"workflow": {}}', 422, "invalid_workflow", id="no nodes"),
    pytest.param(b'{"workflow": {"1": {}}}', 422, "invalid_workflow", id="no class"),
    pytest.param(b'{"workflow": {"1": null}}', 422, "invalid_workflow", id="null node"),
    pytest.param(b'{"workflow": {"nodes": [], "links": []}}', 422, "invalid_workflow", id="editor format"),
    pytest.param(
        b'{"workflow": {"1": {"class_type": "x", "inputs": []}}}', 422, "invalid_workflow", id="inputs a list"
    ),
    pytest.param(b'{"input": {}}', 400, "invalid_field", id="stock without a workflow"),
    pytest.param(b'{"input": {"modifier": "Text2Imag"}}', 404, "unknown_template", id="modifier"),
    pytest.param(b'{"template": "none"}', 404, "unknown_template", id="template"),
    pytest.param(b'{"template": "sd15", "workflow": {}}', 400, "invalid_field", id="template and workflow"),
    pytest.param(b'{"template": "sd15", "params": []}', 400, "invalid_field", id="params a list"),
    pytest.param(b'{"template": "sd15", "params": {"steps": 0}}', 422, "invalid_params", id="steps"),
    pytest.param(b'{"workflow": {}, "params": {"steps": 3}}', 400, "invalid_field", id="params without a template"),
    pytest.param(b'{"input": {"workflow": 3}}', 400, "invalid_field", id="runpod with a number"),
    pytest.param(b'{"workflow": {}, "id": "../../x"}', 422, "invalid_workflow", id="path as id"),
]


@pytest.mark.parametrize(("body", "status", "code"), REFUSED)
async def test_bad_bodies(client: Client, body: bytes, status: int, code: str) -> None:
    """Invalid bodies get a 4xx status with the error object."""
    async with client.http.post(client.app.url + "/generate/sync", data=body) as answer:
        found = await answer.json()
    error = found["error"] if isinstance(found["error"], dict) else found["error_info"]
    assert (answer.status, error["code"]) == (status, code)
    assert error["fault"] == "client"


async def test_unknown_field_names_the_nearest(client: Client) -> None:
    """The error for an unknown field names the nearest one."""
    _, body = await client.post("/generate/sync", {"workflow": picture(), "outputformat": "url"})
    assert "output_format" in body["error"]["details"][0]["suggestion"]


async def test_unknown_fields_are_ignored_in_foreign_dialects(client: Client) -> None:
    """The vast and runpod dialects ignore unknown fields."""
    request = {"input": {"workflow_json": picture(), "extra": 1}, "policy": {}}
    assert (await client.post("/generate/sync", request))[0] == 200


@pytest.mark.parametrize("key", ["a/b", "x" * 129, "nul\x00"])
async def test_bad_ids(client: Client, key: str) -> None:
    """An id that could be a path, or is too long for a header, is rejected."""
    status, body = await client.post("/generate/sync", {"workflow": picture(), "id": key})
    assert (status, body["error"]["code"]) == (400, "invalid_field")


@pytest.mark.parametrize("name", ["../x.png", "a/../b.png", "a\\..\\b.png", "/b.png", "..", "", "x\x00.png"])
async def test_bad_input_names(client: Client, name: str) -> None:
    """An input name that could leave the folder of the job is rejected."""
    status, body = await client.post("/generate/sync", {"workflow": picture(), "inputs": {name: "AAAA"}})
    assert (status, body["error"]["code"]) == (400, "invalid_input_file")


async def test_input_that_is_not_base64(client: Client) -> None:
    """An input that is not base64 is rejected with its name and a remedy."""
    status, body = await client.post("/generate/sync", {"workflow": picture(), "inputs": {"a.png": "a picture!"}})
    assert (status, body["error"]["code"]) == (400, "invalid_input_file")
    assert "a.png" in body["error"]["message"]


async def test_all_problems_of_a_workflow_at_once(client: Client) -> None:
    """The error for an invalid workflow names node, input and class of every problem."""
    workflow = picture()
    workflow["1"]["inputs"] |= {"width": -5, "height": "many"}
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert (status, body["error"]["code"]) == (422, "invalid_workflow")
    places = {(detail["node_id"], detail["class_type"], detail["input"]) for detail in body["error"]["details"]}
    assert {("1", "EmptyImage", "width"), ("1", "EmptyImage", "height")} <= places


async def test_a_misspelt_class_is_answered_with_the_nearest(engine: EngineHandle, tmp_path: Path) -> None:
    """The error for an unknown class suggests the nearest one, also on a new worker."""
    workflow = picture()
    workflow["1"]["class_type"] = "EmptyImag"
    async with worker(engine, tmp_path) as client:
        _, body = await client.post("/generate/sync", {"workflow": workflow})
    assert "EmptyImage" in body["error"]["details"][0]["suggestion"]


async def test_body_above_the_limit_is_413(engine: EngineHandle, tmp_path: Path) -> None:
    """A body above WORKER_MAX_BODY_MIB is 413."""
    async with worker(engine, tmp_path, max_body=1) as client:
        data = io.BytesIO(b"x" * 1_200_000)
        answer = await client.http.post(client.app.url + "/generate/sync", data=data)
        assert (answer.status, (await answer.json())["error"]["code"]) == (413, "body_too_large")


async def test_unknown_routes_and_methods(client: Client) -> None:
    """Unknown routes and methods get the error object."""
    assert (await client.get("/nowhere"))[1]["error"]["code"] == "not_found"
    status, body = await client.get("/generate/sync")
    assert (status, body["error"]["code"]) == (405, "method_not_allowed")


async def test_url_is_refused_where_nobody_could_open_it(engine: EngineHandle, tmp_path: Path) -> None:
    """`output_format: url` is rejected before the job if clients cannot open URLs."""
    async with worker(engine, tmp_path, Vast.traits) as client:
        status, body = await client.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
    assert (status, body["error"]["code"]) == (422, "url_needs_storage")


async def test_without_an_engine_the_answer_is_503(tmp_path: Path) -> None:
    """Without an engine the response is 503 and retryable elsewhere."""
    settings = Settings.of(comfyui="http://127.0.0.1:9", port=0, state=tmp_path, engine_lost_s=0.3)
    async with build(settings) as app, aiohttp.ClientSession() as http:
        client = Client(app, http)
        status, body = await client.post("/generate/sync", {"workflow": picture()})
        error = body["error"]
        assert (status, error["code"], error["retryable_elsewhere"]) == (503, "engine_unavailable", True)
        assert (await client.get("/ready"))[0] == 503
        assert (await client.get("/health"))[0] == 200


BROKEN_BODIES = [
    pytest.param({"Content-Type": "multipart/form-data"}, id="no boundary"),
    pytest.param({"Content-Type": "multipart/form-data; boundary=x"}, id="boundary that never comes"),
    pytest.param({"Content-Encoding": "gzip"}, id="not what its encoding says"),
]


@pytest.mark.parametrize("headers", BROKEN_BODIES)
async def test_bodies_that_are_not_what_their_headers_say(client: Client, headers: dict[str, str]) -> None:
    """A body that does not match its encoding headers is a client error."""
    async with client.http.post(client.app.url + "/generate/sync", data=b'{"workflow": {}}', headers=headers) as answer:
        assert (answer.status, (await answer.json())["error"]["fault"]) == (400, "client")


async def test_links_that_would_end_comfyui(client: Client) -> None:
    """A link to a missing node under an unknown input is rejected, because it would end ComfyUI's worker thread."""
    workflow = picture()
    workflow["1"]["inputs"]["odd"] = ["77", 0]
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert (status, body["error"]["code"], body["error"]["details"][0]["input"]) == (422, "invalid_workflow", "odd")
    assert (await client.post("/generate/sync", {"workflow": picture()}))[0] == 200
