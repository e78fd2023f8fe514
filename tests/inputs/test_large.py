"""Large files inside a JSON body or a form."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.inputs.files import loading, noise
from tests.workflows import Workflow, drawn, picture, slow

TEXT = base64.b64encode(noise()).decode()
URI = f"data:image/png;base64,{TEXT}"

WAYS: dict[str, dict[str, Any]] = {
    "native inputs": {"workflow": loading("a.png"), "inputs": {"a.png": TEXT}},
    "native inputs, data URI": {"workflow": loading("a.png"), "inputs": {"a.png": URI}},
    "native workflow": {"workflow": loading(URI)},
    "native wrapped value": {"workflow": loading({"__value__": URI})},
    "native params": {"template": "resize", "params": {"image": TEXT}},
    "native params, data URI": {"template": "resize", "params": {"image": URI}},
    "runpod images": {"input": {"workflow": loading("a.png"), "images": [{"name": "a.png", "image": URI}]}},
    "runpod workflow": {"input": {"workflow": loading(URI)}},
    "vast workflow": {"input": {"workflow_json": loading(URI)}},
    "vast template": {"input": {"modifier": "resize", "modifications": {"image": URI}}},
}


@pytest.mark.parametrize("request_body", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("shared", [True, False], ids=["shared folders", "over HTTP"])
async def test_every_place_for_a_large_file(
    engine: EngineHandle, tmp_path: Path, request_body: dict[str, Any], shared: bool
) -> None:
    """A large file in each field of each dialect reaches the engine, and is removed from the worker's disk."""
    folders = {} if shared else {"comfyui_output": None, "comfyui_input": None}
    async with worker(engine, tmp_path, **folders) as client:
        status, body = await client.post("/generate/sync", request_body)
        assert status == 200, body
        await client.app.manager.close()
    assert not [path for name in ("inputs", "bodies") for path in (tmp_path / name).rglob("*")]


async def test_a_long_text_in_a_text_input_stays_text(client: Client) -> None:
    """A text input gets a long data URI or long base64 unchanged."""
    for text in (URI, TEXT):
        workflow = picture() | {
            "3": {"class_type": "PrimitiveString", "inputs": {"value": text}},
            "4": {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}},
        }
        status, body = await client.post("/generate/sync", {"workflow": workflow})
        assert status == 200, body
        assert [output["text"] for output in body["outputs"] if output["kind"] == "text"] == [text]


async def test_long_texts_are_limited(client: Client) -> None:
    """A request with too many long texts that are not files is refused."""
    workflow = picture() | {"3": {"class_type": "PrimitiveString", "inputs": {"value": "word " * 1_000_000}}}
    data = io.BytesIO(orjson.dumps({"workflow": workflow}))
    async with client.http.post(client.app.url + "/generate/sync", data=data) as response:
        body = await response.json()
    assert (response.status, body["error"]["code"]) == (413, "body_too_large")
    assert "workflow.3.inputs.value" in body["error"]["message"]


@pytest.mark.parametrize("content", ["!" * 100_000, f"{TEXT}!", f"data:image/png;base64,{TEXT}!"])
async def test_a_large_file_that_is_no_base64_is_refused_by_name(client: Client, content: str) -> None:
    """A large text that is not base64 is refused with the name of the input."""
    status, body = await client.post("/generate/sync", {"workflow": loading("a.png"), "inputs": {"a.png": content}})
    assert (status, body["error"]["code"]) == (400, "invalid_input_file")
    assert "'a.png' is not base64" in body["error"]["message"]


async def test_a_placeholder_opens_no_file_of_another_request(client: Client) -> None:
    """A placeholder of another request is an empty data URI."""
    _, accepted = await client.post("/generate", {"workflow": slow(1.0) | {"9": loading(URI)["1"]}})
    entry = next(iter(client.app.manager.job_index))
    [file] = entry.job.request.inputs
    workflow: Workflow = loading(f"data:image/png;sha256={file.name.removesuffix('.png')};base64,")
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert (status, body["error"]["code"]) == (400, "invalid_input_file")
    await client.delete(f"/jobs/{accepted['id']}", accepted["token"])


async def test_the_editors_format_with_a_large_data_uri(client: Client) -> None:
    """A workflow in the editor's format with a large data URI is converted."""
    workflow = drawn()
    workflow["nodes"].append(
        {"id": 20, "type": "LoadImage", "inputs": [], "outputs": [], "widgets_values": [URI, "image"], "mode": 0}
    )
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert status == 200, body


async def test_a_repeated_request_keeps_the_files_of_the_first(client: Client) -> None:
    """The same body under the same id returns the job. With another file it is a conflict."""
    request = {"workflow": loading("a.png") | {"9": slow(0.5)["3"]}, "inputs": {"a.png": TEXT}, "id": "mine"}
    first, second = await asyncio.gather(*(client.post("/generate/sync", request) for _ in range(2)))
    assert first[0] == 200, first
    assert first == second
    other = {**request, "inputs": {"a.png": base64.b64encode(noise(201)).decode()}}
    assert (await client.post("/generate/sync", other))[0] == 409


def form(*files: bytes) -> aiohttp.FormData:
    form_data = aiohttp.FormData()
    form_data.add_field(
        "request", orjson.dumps({"workflow": loading("0.png")}).decode(), content_type="application/json"
    )
    for number, data in enumerate(files):
        form_data.add_field(f"{number}.png", io.BytesIO(data), filename="any.png")
    return form_data


async def test_a_large_file_of_a_form(engine: EngineHandle, tmp_path: Path) -> None:
    """A large part of a form is written to a file, and the size limit applies to all parts together."""
    large, half = noise(400), b"x" * 600_000
    async with worker(engine, tmp_path, max_body=1) as client:
        async with client.http.post(client.app.url + "/generate/sync", data=form(large)) as response:
            assert response.status == 200, await response.text()
        async with client.http.post(client.app.url + "/generate/sync", data=form(half, half)) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (413, "body_too_large")
