"""What a client sends beside its prompt reaches the nodes and the files that they save, as from ComfyUI's editor."""

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
    """The text chunks of a PNG, read as JSON."""
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        image.load()
        return {name: json.loads(text) for name, text in image.info.items() if isinstance(text, str)}


async def test_a_picture_carries_what_the_editor_saved(client: Client) -> None:
    """The `workflow` chunk is the file as it was sent; `prompt` is what it became, its random integers drawn."""
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
    """Where both are there, the prompt is run and the editor's file goes along."""
    status, answer = await client.post("/generate/sync", body)
    assert status == 200, answer
    found = chunks(answer["image"] if "image" in answer else answer["images"][0]["data"])
    assert found["prompt"]["1"]["inputs"]["width"] == 24
    assert found["workflow"]["nodes"][0]["type"] == "EmptyImage"


async def test_extra_pnginfo_of_the_client_is_sent(client: Client) -> None:
    """Each of its keys is a chunk; its workflow goes before the file that the prompt was made of."""
    extra = {"extra_pnginfo": {"workflow": {"nodes": [], "id": "mine"}, "shot": [1, 2]}, "client_id": "someone else"}
    status, body = await client.post("/generate/sync", {"workflow": drawn(), "extra_data": extra})
    assert status == 200, body
    found = chunks(body["image"])
    assert (found["workflow"], found["shot"]) == ({"nodes": [], "id": "mine"}, [1, 2])


async def test_a_node_that_reads_the_file_runs_without_one(client: Client) -> None:
    """Of an API prompt it gets what the editor would have made of it; other prompts are sent as they are."""
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
    """`output.metadata: strip` takes the editor's file out as it does the prompt."""
    request = {"workflow": drawn(), "output": {"metadata": "strip"}}
    status, body = await client.post("/generate/sync", request)
    assert status == 200, body
    assert chunks(body["image"]) == {}


@pytest.mark.parametrize("extra", [None, {}, {"extra_pnginfo": None}, {"extra_pnginfo": {"workflow": None}}])
async def test_no_null_is_sent_to_comfyui(engine: EngineHandle, tmp_path: Path, extra: object) -> None:
    """A null `extra_pnginfo` breaks the list of jobs of ComfyUI, so that nothing is sent in its place."""
    async with worker(engine, tmp_path) as client:
        status, body = await client.post("/generate/sync", {"workflow": picture(), "extra_data": extra})
        assert (status, chunks(body["image"]).keys()) == (200, {"prompt"})
        async with client.http.get(engine.url + "/api/jobs") as jobs:
            assert jobs.status == 200


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"workflow": picture(), "extra_data": {"extra_pnginfo": []}}, "extra_data.extra_pnginfo"),
        ({"workflow": picture(), "extra_data": {"extra_pnginfo": {"workflow": "x"}}}, "'workflow' has to be"),
        ({"workflow": picture(), "prompt": picture()}, "'workflow' beside a 'prompt'"),
        ({"template": "sd15", "prompt": picture()}, "'prompt' and 'template'"),
        ({"workflow": picture(), "extra_data": {"api_key_comfy_org": 7}}, "extra_data.api_key_comfy_org"),
    ],
)
async def test_what_nodes_could_not_read_is_refused(client: Client, body: dict, says: str) -> None:
    """The message names the field."""
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
    """From each place of a request; the body goes before the header, and both before the operator's key."""
    async with worker(engine, tmp_path, comfy_org_api_key=SecretStr("operators")) as client:
        status, answer = await client.post("/generate/sync", with_workflow(body, hidden()), **headers)
        assert status == 200, answer
        assert seen(answer)["key"] == sha256(KEY)


async def test_the_operators_key_is_for_jobs_without_one(engine: EngineHandle, tmp_path: Path) -> None:
    """Where it is set, every job that brings none has it."""
    async with worker(engine, tmp_path / "with", comfy_org_api_key=SecretStr(KEY)) as client:
        _, answer = await client.post("/generate/sync", {"workflow": hidden()})
        assert seen(answer)["key"] == sha256(KEY)
    async with worker(engine, tmp_path / "without") as client:
        _, answer = await client.post("/generate/sync", {"workflow": hidden()})
        assert seen(answer)["key"] is None


async def test_the_key_is_in_no_text(engine: EngineHandle, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in answers, though a node quotes it, nor in the log, on the worker's disk or in ComfyUI's history."""
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
    """What the node of `hidden` got, whatever dialect the answer is in."""
    [text] = [
        one["text"] for one in answer.get("outputs") or answer.get("texts") or answer["output"] if one.get("text")
    ]
    return dict(json.loads(text))


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def with_workflow(body: object, workflow: object) -> Any:
    """The body with the workflow where the dots are."""
    if isinstance(body, dict):
        return {name: with_workflow(value, workflow) for name, value in body.items()}
    return workflow if body is ... else body
