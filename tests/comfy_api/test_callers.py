"""A caller sees and changes only what is its own."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path

import aiohttp
import pytest
from pydantic import SecretStr

from tests.comfy_api.client import ComfyClient
from tests.comfy_api.conftest import TOKENS
from tests.comfy_api.test_same_as_comfyui import PNG
from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import Workflow, picture, slow
from worker.errors import StartupError
from worker.platforms.vast.platform import Vast

pytestmark = pytest.mark.asyncio(loop_scope="module")


def loading(name: str) -> Workflow:
    """Return a workflow that saves a picture of the input folder."""
    return {
        "1": {"class_type": "LoadImage", "inputs": {"image": name}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "loaded"}},
    }


async def waiting_and_running(client: ComfyClient) -> tuple[str, str]:
    """Start a prompt that runs for long and one behind it, and return their ids once the first one runs."""
    async with client.listening() as frames:
        running = await client.submit(slow(20, steps=2000))
        await frames.until("executing", node="3", prompt_id=running)
    return running, await client.submit(picture())


async def test_a_caller_sees_only_its_own_prompts(ann: ComfyClient, bob: ComfyClient) -> None:
    """History, files and frames of a prompt are only those of its caller, even with the same client id."""
    bob.client_id = ann.client_id
    async with ann.listening() as own_frames, bob.listening() as frames:
        prompt_id = await ann.submit(picture())
        await own_frames.of_prompt(prompt_id)
        [image] = (await ann.ended(prompt_id))["outputs"]["2"]["images"]
        other_id = await bob.submit(picture())
        await frames.of_prompt(other_id)
    assert not [frame for frame in frames.all if prompt_id in str(frame)]
    assert (await bob.get(f"/history/{prompt_id}")) == (200, {})
    assert prompt_id not in (await bob.get("/history"))[1]
    assert (await bob.get("/view", **image))[0] == 404
    status, data = await ann.get("/view", **image)
    assert (status, data[:4]) == (200, b"\x89PNG")


async def test_the_queue_is_the_callers_own(ann: ComfyClient, bob: ComfyClient) -> None:
    """Another caller neither sees nor ends a prompt. Its own caller deletes one that waits, and interrupts."""
    running, waiting = await waiting_and_running(ann)
    for path, body in [("/interrupt", {}), ("/interrupt", {"prompt_id": running}), ("/queue", {"clear": True})]:
        assert (await bob.post(path, body))[0] == 200
    assert (await bob.post(f"/api/jobs/{running}/cancel", {}))[1] == {"cancelled": False}
    assert (await bob.get("/queue"))[1] == {"queue_running": [], "queue_pending": []}
    assert (await bob.get("/prompt"))[1] == {"exec_info": {"queue_remaining": 0}}
    queue = (await ann.get("/queue"))[1]
    assert [item[1] for item in queue["queue_running"]] == [running]
    assert [item[1] for item in queue["queue_pending"]] == [waiting]
    await ann.post("/queue", {"delete": [waiting]})
    await ann.post("/interrupt", {})
    entry = await ann.ended(running)
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    assert (await ann.get(f"/history/{waiting}"))[1] == {}
    assert (await ann.get("/queue"))[1] == {"queue_running": [], "queue_pending": []}


async def test_an_upload_is_an_input_of_its_caller_only(ann: ComfyClient, bob: ComfyClient) -> None:
    """A prompt reads the upload of its caller. The same name of another caller names nothing."""
    _, upload = await ann.upload(PNG, "mine.png", subfolder=uuid.uuid4().hex)
    name = f"{upload['subfolder']}/{upload['name']}"
    entry = await ann.ended(await ann.submit(loading(name)))
    assert entry["status"]["status_str"] == "success"
    assert entry["outputs"]["2"]["images"]
    query = {"filename": upload["name"], "subfolder": upload["subfolder"], "type": "input"}
    assert await ann.get("/view", **query) == (200, PNG)
    assert (await bob.get("/view", **query))[0] == 404
    status, body = await bob.post("/prompt", {"prompt": loading(name)})
    if status == 200:  # the name is checked when the inputs are prepared
        assert (await bob.ended(body["prompt_id"]))["status"]["status_str"] == "error"
    else:
        assert status == 400


async def test_a_job_that_fails_before_its_run_is_shown_with_a_start_and_an_end(ann: ComfyClient) -> None:
    """A missing input file is found when the files are placed. The client sees an error of a run, as in ComfyUI."""
    async with ann.listening() as frames:
        prompt_id = await ann.submit(loading(f"{uuid.uuid4().hex}.png"))
        shown = await frames.of_prompt(prompt_id)
    assert [frame["type"] for frame in shown] == [
        *("execution_start", "execution_cached", "execution_error", "executing")
    ]
    error = shown[2]["data"]
    assert (error["node_id"], error["node_type"], error["exception_type"]) == ("1", "LoadImage", "file_not_allowed")
    assert (await ann.ended(prompt_id))["status"]["messages"][-1] == ["execution_error", error]


async def test_the_job_of_a_prompt_is_like_any_other(comfy_worker: Client, ann: ComfyClient) -> None:
    """`GET /jobs/{id}` returns the result or the error of a prompt in the native form."""
    prompt_id = await ann.submit(picture())
    await ann.ended(prompt_id)
    status, body = await comfy_worker.get(f"/jobs/{prompt_id}", ann.token)
    assert (status, body["status"], len(body["outputs"])) == (200, "success", 1)
    prompt_id = await ann.submit(loading(f"{uuid.uuid4().hex}.png"))
    await ann.ended(prompt_id)
    status, body = await comfy_worker.get(f"/jobs/{prompt_id}", ann.token)
    assert (status, body["error"]["code"]) == (422, "file_not_allowed")


async def test_an_output_is_an_input_of_the_next_prompt(ann: ComfyClient) -> None:
    """`name [output]` names the file of an earlier prompt of the caller."""
    [image] = (await ann.ended(await ann.submit(picture())))["outputs"]["2"]["images"]
    entry = await ann.ended(await ann.submit(loading(f"{image['filename']} [output]")))
    assert entry["status"]["status_str"] == "success", entry["status"]


async def test_a_mask_is_joined_with_an_image(ann: ComfyClient) -> None:
    """`/upload/mask` keeps the colours of the original and the alpha of the mask."""
    _, upload = await ann.upload(PNG, f"{uuid.uuid4().hex}.png")
    reference = json.dumps({"filename": upload["name"], "subfolder": "", "type": "input"})
    status, masked = await ann.upload(PNG, "masked.png", "mask", original_ref=reference)
    assert (status, masked["type"]) == (200, "input")
    query = {"filename": masked["name"], "type": "input"}
    assert (await ann.get("/view", **query, preview="webp;80"))[0] == 200
    assert (await ann.get("/view", **query, channel="a"))[0] == 200


async def test_every_route_needs_a_token(comfy_worker: Client) -> None:
    """Without a token, all routes and the WebSocket respond with 401."""
    stranger = ComfyClient(comfy_worker.http, comfy_worker.app.url, "wrong")
    paths = [
        "/prompt",
        "/queue",
        "/history",
        "/history/x",
        "/view?filename=a.png",
        "/object_info",
        "/object_info/KSampler",
    ]
    paths += ["/system_stats", "/features", "/embeddings", "/models", "/models/loras", "/ws"]
    for path in paths:
        assert (await stranger.get(path))[0] == 401, path
    for path in ["/prompt", "/queue", "/interrupt", "/history", "/free", "/api/jobs/x/cancel", "/upload/image"]:
        assert (await stranger.post(path, {}))[0] == 401, path
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with stranger.listening():
            pass


async def test_the_id_of_a_client_is_used_if_it_is_free(ann: ComfyClient, bob: ComfyClient) -> None:
    """A caller chooses the id. The same request again is the same job, and another one is refused."""
    prompt_id, prompt = str(uuid.uuid4()), picture()
    assert await ann.submit(prompt, prompt_id=prompt_id) == prompt_id
    assert await ann.submit(prompt, prompt_id=prompt_id) == prompt_id
    status, body = await ann.post("/prompt", {"prompt": picture(), "prompt_id": prompt_id})
    assert (status, body["error"]["type"]) == (400, "id_taken")
    assert await bob.submit(picture(), prompt_id=prompt_id) == prompt_id


async def test_keys_are_not_shown(ann: ComfyClient) -> None:
    """`extra_data` reaches the files, and its keys are in no listing."""
    extra = {"extra_pnginfo": {"note": {"by": "ann"}}, "api_key_comfy_org": "comfyui-secret"}
    entry = await ann.ended(await ann.submit(picture(), extra_data=extra))
    assert entry["prompt"][3]["extra_pnginfo"] == {"note": {"by": "ann"}}
    assert "comfyui-secret" not in str(entry)
    [image] = entry["outputs"]["2"]["images"]
    assert b'"ann"' in (await ann.get("/view", **image))[1]


async def test_history_can_be_deleted(ann: ComfyClient) -> None:
    """A deleted entry is gone for its caller, and its file can still be viewed."""
    prompt_id = await ann.submit(picture())
    [image] = (await ann.ended(prompt_id))["outputs"]["2"]["images"]
    assert (await ann.get("/history", max_items="1"))[1].keys() == {prompt_id}
    await ann.post("/history", {"delete": [prompt_id]})
    assert (await ann.get(f"/history/{prompt_id}"))[1] == {}
    assert (await ann.get("/view", **image))[0] == 200


async def test_the_limits_of_the_gateway_hold(engine: EngineHandle, tmp_path: Path) -> None:
    """A full queue is 429 with a time to retry, in ComfyUI's form."""
    tokens = SecretStr(f"ann={TOKENS['ann']}")
    async with worker(engine, tmp_path, comfy_api=True, max_queue=1, tokens=tokens) as client:
        ann = ComfyClient(client.http, client.app.url, TOKENS["ann"])
        first = await ann.submit(slow(20, steps=2000))
        status, body = await ann.post("/prompt", {"prompt": picture()})
        assert (status, body["error"]["type"]) == (429, "queue_full")
        await ann.post("/interrupt", {"prompt_id": first})
        assert (await ann.ended(first))["status"]["completed"] is False


async def test_the_routes_are_off_by_default(engine: EngineHandle, tmp_path: Path) -> None:
    """Without WORKER_COMFY_API there are no such routes."""
    async with worker(engine, tmp_path) as client:
        assert (await client.get("/history"))[0] == 404
        assert (await client.post("/prompt", {"prompt": picture()}))[0] == 404


async def test_the_routes_need_clients_that_reach_them(engine: EngineHandle, tmp_path: Path) -> None:
    """Behind Vast's ingress the setting is an error that names it."""
    with pytest.raises(StartupError, match="WORKER_COMFY_API"):
        async with asyncio.timeout(60), worker(engine, tmp_path, Vast.traits, comfy_api=True):
            pass
