"""Data beside the prompt reaches the nodes and the saved files, as with ComfyUI's editor."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pydantic import SecretStr

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import drawn, hidden, picture


def chunks(data: str) -> dict[str, Any]:
    """Return the text chunks of a PNG, parsed as JSON."""
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        image.load()
        return {name: json.loads(text) for name, text in image.info.items() if isinstance(text, str)}


async def test_a_picture_carries_what_the_editor_saved(client: Client) -> None:
    """A saved image has the sent file in `workflow` and the converted prompt in `prompt`."""
    saved = drawn()
    saved["nodes"][1]["widgets_values"] = ["shot-__RANDOM_INT__"]
    status, body = await client.post("/generate/sync", {"workflow": saved})
    assert status == 200, body
    found = chunks(body["image"])
    assert found["workflow"] == saved
    assert found["prompt"]["2"]["inputs"]["filename_prefix"].removeprefix("shot-").isdigit()


@pytest.mark.parametrize(
    "body",
    [
        {"workflow": drawn(), "prompt": picture(24, 48)},
        {"workflow": {"workflow": drawn(), "prompt": picture(24, 48)}},
        {"input": {"workflow": {"workflow": drawn(), "prompt": picture(24, 48)}}},
    ],
)
async def test_the_prompt_beside_a_file_is_run(client: Client, body: dict) -> None:
    """If a request has a prompt and a file of the editor, the prompt is run and the file is sent along."""
    status, answer = await client.post("/generate/sync", body)
    assert status == 200, answer
    found = chunks(answer["image"] if "image" in answer else answer["images"][0]["data"])
    assert found["prompt"]["1"]["inputs"]["width"] == 24
    assert found["workflow"]["nodes"][0]["type"] == "EmptyImage"


async def test_extra_pnginfo_of_the_client_is_sent(client: Client) -> None:
    """Each key of `extra_pnginfo` is a chunk. Its workflow takes precedence over the converted file."""
    extra = {"extra_pnginfo": {"workflow": {"nodes": [], "id": "mine"}, "shot": [1, 2]}, "client_id": "someone else"}
    status, body = await client.post("/generate/sync", {"workflow": drawn(), "extra_data": extra})
    assert status == 200, body
    found = chunks(body["image"])
    assert (found["workflow"], found["shot"]) == ({"nodes": [], "id": "mine"}, [1, 2])


async def test_a_node_that_reads_the_file_runs_without_one(client: Client) -> None:
    """A node that reads the file of the editor gets one that is made from an API prompt."""
    workflow = picture(24, 48)
    workflow["3"] = {"class_type": "EmbeddedReader", "inputs": {"image": ["1", 0]}}
    workflow["2"]["inputs"]["images"] = ["3", 0]
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert status == 200, body
    nodes = {node["id"]: node for node in chunks(body["image"])["workflow"]["nodes"]}
    assert nodes[1]["widgets_values"][:2] == [24, 48]
    _, body = await client.post("/generate/sync", {"workflow": picture()})
    assert "workflow" not in chunks(body["image"])


async def test_stripped_pictures_carry_nothing(client: Client) -> None:
    """`output.metadata: strip` removes the file of the editor and the prompt."""
    request = {"workflow": drawn(), "output": {"metadata": "strip"}}
    status, body = await client.post("/generate/sync", request)
    assert status == 200, body
    assert chunks(body["image"]) == {}


@pytest.mark.parametrize("extra", [None, {}, {"extra_pnginfo": None}, {"extra_pnginfo": {"workflow": None}}])
async def test_no_null_is_sent_to_comfyui(engine: EngineHandle, tmp_path: Path, extra: object) -> None:
    """A null `extra_pnginfo` is not sent, because it breaks ComfyUI's list of jobs."""
    async with worker(engine, tmp_path) as client:
        status, body = await client.post("/generate/sync", {"workflow": picture(), "extra_data": extra})
        assert (status, chunks(body["image"]).keys()) == (200, {"prompt"})
        async with client.http.get(engine.url + "/api/jobs") as jobs:
            assert jobs.status == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"workflow": picture(), "extra_data": {"extra_pnginfo": []}}, "extra_data.extra_pnginfo"),
        ({"workflow": picture(), "extra_data": {"extra_pnginfo": {"workflow": "x"}}}, "'workflow' must be"),
        ({"workflow": picture(), "prompt": picture()}, "'workflow' beside a 'prompt'"),
        ({"template": "sd15", "prompt": picture()}, "'prompt' and 'template'"),
        ({"workflow": picture(), "extra_data": {"api_key_comfy_org": 7}}, "extra_data.api_key_comfy_org"),
    ],
)
async def test_what_nodes_could_not_read_is_refused(client: Client, body: dict, says: str) -> None:
    """An invalid `extra_pnginfo` is rejected with the name of the field."""
    status, answer = await client.post("/generate/sync", body)
    assert (status, answer["error"]["fault"]) == (400, "client")
    assert says in answer["error"]["message"]


KEY = "comfyui-0123456789abcdef"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"input": {"workflow": ..., "comfy_org_api_key": KEY}}, {}),
        ({"input": {"workflow": ..., "extra_data": {"api_key_comfy_org": KEY}}}, {}),
        ({"input": {"workflow_json": ..., "extra_data": {"api_key_comfy_org": KEY}}}, {}),
        ({"workflow": ..., "extra_data": {"api_key_comfy_org": KEY}}, {"X-Comfy-Org-Api-Key": "another"}),
        ({"workflow": ...}, {"X-Comfy-Org-Api-Key": KEY}),
        ({"workflow": ..., "extra_data": {"api_key_comfy_org": ""}}, {"X-Comfy-Org-Api-Key": KEY}),
    ],
)
async def test_the_clients_key_reaches_the_node(
    engine: EngineHandle, tmp_path: Path, body: dict, headers: dict[str, str]
) -> None:
    """The comfy.org key is read from each place: the body precedes the header, and both precede the operator."""
    async with worker(engine, tmp_path, comfy_org_api_key=SecretStr("operators")) as client:
        status, answer = await client.post("/generate/sync", with_workflow(body, hidden()), **headers)
        assert status == 200, answer
        assert seen(answer)["key"] == sha256(KEY)


async def test_the_operators_key_is_for_jobs_without_one(engine: EngineHandle, tmp_path: Path) -> None:
    """Every job without a key gets the operator's key."""
    async with worker(engine, tmp_path / "with", comfy_org_api_key=SecretStr(KEY)) as client:
        _, answer = await client.post("/generate/sync", {"workflow": hidden()})
        assert seen(answer)["key"] == sha256(KEY)
    async with worker(engine, tmp_path / "without") as client:
        _, answer = await client.post("/generate/sync", {"workflow": hidden()})
        assert seen(answer)["key"] is None


async def test_the_key_is_in_no_text(engine: EngineHandle, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The key is not in responses, logs, files of the worker or ComfyUI's history."""
    caplog.set_level(logging.DEBUG)
    request = {"workflow": hidden(raises=True), "id": "mine", "extra_data": {"api_key_comfy_org": KEY}}
    async with worker(engine, tmp_path) as client:
        status, answer = await client.post("/generate/sync", request)
        assert (status, answer["error"]["code"]) == (422, "node_failed")
        _, kept = await client.post("/generate/sync", request)
        assert "Unauthorized: ***" in answer["error"]["message"]
        job = client.app.manager.find_owned("mine", "local")
        texts = [str(answer), str(kept), caplog.text, repr(job), repr(client.app.settings)]
        async with client.http.get(engine.url + f"/history/{job.prompt_id}") as history:
            texts.append(str((await history.json())[job.prompt_id]["prompt"]))
    assert [text for text in texts if KEY in text] == []
    assert [path for path in tmp_path.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()] == []


def seen(answer: dict) -> dict[str, Any]:
    """Return what the node of `hidden` received, for a response of any dialect."""
    [text] = [
        one["text"] for one in answer.get("outputs") or answer.get("texts") or answer["output"] if one.get("text")
    ]
    return dict(json.loads(text))


def sha256(text: str) -> str:
    """Return the hash of a file."""
    return hashlib.sha256(text.encode()).hexdigest()


def with_workflow(body: object, workflow: object) -> Any:
    """Return the body with the workflow in place of the dots."""
    if isinstance(body, dict):
        return {name: with_workflow(value, workflow) for name, value in body.items()}
    return workflow if body is ... else body
