"""Jobs started by each route and in each dialect return their outputs."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path

import aiohttp
import pytest
from PIL import Image

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import failing, picture, slow


def size_of(data: str) -> tuple[int, int]:
    """Return the pixel size of an image."""
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return image.size


async def test_native_sync_returns_the_picture(client: Client) -> None:
    """The native response has the image inline with its facts."""
    status, body = await client.post("/generate/sync", {"workflow": picture(96, 48)})
    assert (status, body["status"]) == (200, "success")
    assert size_of(body["image"]) == (96, 48)
    [output] = body["outputs"]
    assert (output["kind"], output["mime"], output["width"], output["height"]) == ("image", "image/png", 96, 48)
    assert output["bytes"] == len(base64.b64decode(output["data"]))
    assert body["metadata"]["engine"] == "embedded"
    assert body["metadata"]["timings"]["total_ms"] > 0


async def test_native_url_can_be_fetched_with_ranges(client: Client) -> None:
    """`output_format: url` returns a URL that serves the file, with range requests."""
    _, body = await client.post("/generate/sync", {"workflow": picture(), "output_format": "url"})
    async with client.http.get(body["image"]) as whole:
        data = await whole.read()
        assert whole.headers["Content-Type"] == "image/png"
    assert len(data) == body["outputs"][0]["bytes"]
    async with client.http.get(body["image"], headers={"Range": "bytes=1-3"}) as part:
        assert (part.status, await part.read()) == (206, b"PNG")


async def test_stock_template_dialect(client: Client) -> None:
    """The response to Vast's stock envelope has all its fields."""
    request = {"input": {"request_id": "stock-1", "workflow_json": picture(), "return_outputs_as_base64": True}}
    status, body = await client.post("/generate/sync", request)
    assert (status, body["status"], body["id"]) == (200, "completed", "stock-1")
    assert set(body) == {"id", "message", "status", "comfyui_response", "output", "timings"}
    [output] = body["output"]
    assert output["output_type"] == "images"
    assert output["type"] == "output"
    assert output["mimetype"] == "image/png"
    assert size_of(output["data"]) == (64, 64)
    assert Path(output["local_path"]).is_file()


async def test_stock_template_without_base64_names_the_files(client: Client) -> None:
    """By default the vast dialect sends no file data."""
    _, body = await client.post("/generate/sync", {"input": {"workflow_json": picture()}})
    assert "data" not in body["output"][0]


async def test_runpod_dialect_with_an_input_image(client: Client) -> None:
    """The runpod dialect runs a workflow with an uploaded image."""
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "PNG")
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "photo.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "copy"}},
    }
    image = {"name": "photo.png", "image": "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()}
    status, body = await client.post("/generate/sync", {"input": {"workflow": workflow, "images": [image]}})
    assert status == 200, body
    assert size_of(body["images"][0]["data"]) == (40, 30)


@pytest.mark.parametrize("shared", [True, False], ids=["shared folders", "over HTTP"])
async def test_inputs_by_name_and_in_place(engine: EngineHandle, tmp_path: Path, shared: bool) -> None:
    """Files are accepted by name and as data URIs in the workflow, with and without shared folders of ComfyUI."""
    buffer = io.BytesIO()
    Image.new("RGB", (24, 16), "blue").save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "süß.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "named"}},
        "3": {"class_type": "LoadImage", "inputs": {"image": f"data:image/png;base64,{text}"}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "inline"}},
    }
    folders = {} if shared else {"comfyui_output": None, "comfyui_input": None}
    async with worker(engine, tmp_path, **folders) as client:
        status, body = await client.post("/generate/sync", {"workflow": workflow, "inputs": {"süß.png": text}})
    assert status == 200, body
    assert [size_of(output["data"]) for output in body["outputs"]] == [(24, 16), (24, 16)]
    assert [output["node_id"] for output in body["outputs"]] == ["2", "4"]


async def test_inputs_of_a_finished_job_are_removed(client: Client, engine: EngineHandle) -> None:
    """Input files of a finished job are removed from ComfyUI's input folder."""
    before = set(engine.input.iterdir())
    workflow = picture() | {"9": {"class_type": "LoadImage", "inputs": {"image": "x.png"}}}
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    text = base64.b64encode(buffer.getvalue()).decode()
    status, _ = await client.post("/generate/sync", {"workflow": workflow, "inputs": {"x.png": text}})
    assert status == 200
    await client.app.manager.close()
    assert set(engine.input.iterdir()) == before


async def test_multipart_carries_files_as_they_are(client: Client) -> None:
    """A multipart body carries the JSON in the part `request` and files in the others."""
    buffer = io.BytesIO()
    Image.new("RGB", (12, 10)).save(buffer, "PNG")
    workflow = (
        '{"workflow": {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}, '
        '"2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "m"}}}}'
    )
    form = aiohttp.FormData()
    form.add_field("request", workflow, content_type="application/json")
    form.add_field("a.png", buffer.getvalue(), filename="whatever.png")
    async with client.http.post(client.app.url + "/generate/sync", data=form) as answer:
        body = await answer.json()
    assert answer.status == 200, body
    assert size_of(body["image"]) == (12, 10)


async def test_random_integers_are_drawn_anew(client: Client) -> None:
    """`__RANDOM_INT__` is another number in each job."""
    workflow = picture()
    workflow["3"] = {"class_type": "PrimitiveInt", "inputs": {"value": "__RANDOM_INT__"}}
    workflow["4"] = {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}}
    numbers = set()
    for _ in range(2):
        _, body = await client.post("/generate/sync", {"workflow": workflow})
        [text] = [output["text"] for output in body["outputs"] if output["kind"] == "text"]
        numbers.add(int(text))
        assert body["metadata"]["random_integers"] == [{"node_id": "3", "input": "value", "value": int(text)}]
    assert len(numbers) == 2


@pytest.mark.parametrize("field", ["workflow", "workflow_json"])
async def test_the_other_dialects_name_the_integers_too(client: Client, field: str) -> None:
    """The vast and runpod dialects list random integers, and have no such field without them."""
    workflow = picture()
    _, plain = await client.post("/generate/sync", {"input": {field: workflow}})
    workflow["2"]["inputs"]["filename_prefix"] = "run-__RANDOM_INT__"
    _, body = await client.post("/generate/sync", {"input": {field: workflow}})
    [drawn] = body["random_integers"]
    [file] = body.get("images") or body["output"]
    assert (drawn["node_id"], drawn["input"]) == ("2", "filename_prefix")
    assert file["filename"].startswith(f"run-{drawn['value']}_")
    assert body.keys() - plain.keys() == {"random_integers"}


async def test_async_job_is_fetched_with_its_token(client: Client) -> None:
    """`POST /generate` responds at once, and the result opens only with the token."""
    status, accepted = await client.post("/generate", {"workflow": slow(0.3)})
    assert (status, accepted["status"]) == (202, "pending")
    status, running = await client.get(f"/jobs/{accepted['id']}", accepted["token"])
    assert (status, running["status"]) == (202, "pending")
    assert (await client.get(f"/jobs/{accepted['id']}", "wrong"))[0] == 404
    assert (await client.get(f"/jobs/{accepted['id']}"))[0] == 404
    await client.state(accepted, "completed")
    status, body = await client.get(f"/jobs/{accepted['id']}", accepted["token"])
    assert (status, body["status"]) == (200, "success")
    status, stock = await client.get(f"/result/{accepted['id']}", accepted["token"])
    assert (status, stock["status"]) == (200, "completed")


async def test_sync_beyond_its_limit_is_told_to_come_back(engine: EngineHandle, tmp_path: Path) -> None:
    """A synchronous request above the limit gets 202, and its job continues after the client has left."""
    async with worker(engine, tmp_path, sync_limit_s=0.1, hangup_grace_s=0.1) as client:
        status, accepted = await client.post("/generate/sync", {"workflow": slow(0.6)})
        assert (status, accepted["status"]) == (202, "pending")
        await client.state(accepted, "completed")
        assert (await client.get(f"/jobs/{accepted['id']}", accepted["token"]))[0] == 200


async def test_a_node_that_raises_is_named(client: Client) -> None:
    """A failed node is reported with id, title and class, and the status is below 500."""
    status, body = await client.post("/generate/sync", {"workflow": failing()})
    assert (status, body["status"], body["error"]["code"]) == (422, "error", "node_failed")
    [detail] = body["error"]["details"]
    assert (detail["node_id"], detail["node_title"], detail["class_type"]) == ("3", "Trouble", "EmbeddedFail")
    assert body["error"]["fault"] == "job"


async def test_timeout_takes_the_job_out_of_comfyui(client: Client) -> None:
    """A job above its `timeout_s` is cancelled with the error `timeout`."""
    status, body = await client.post("/generate/sync", {"workflow": slow(30, steps=300), "timeout_s": 0.3})
    assert (status, body["error"]["code"]) == (422, "timeout")
    status, _ = await client.post("/generate/sync", {"workflow": picture()})
    assert status == 200


async def test_same_id_finds_the_same_job(client: Client) -> None:
    """The same request with the same id returns the same job. Another request with the id is rejected."""
    request = {"workflow": slow(0.3), "id": "mine"}
    first, second = await asyncio.gather(*(client.post("/generate/sync", request) for _ in range(2)))
    assert first == second
    assert (await client.post("/generate/sync", {"workflow": picture(), "id": "mine"}))[0] == 409


async def test_outputs_of_other_kinds(client: Client) -> None:
    """Text, video and temporary preview have their own kinds."""
    workflow = picture()
    workflow["5"] = {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8}}
    workflow["6"] = {
        "class_type": "SaveVideo",
        "inputs": {"video": ["5", 0], "filename_prefix": "v", "format": "auto", "codec": "auto"},
    }
    workflow["7"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert status == 200, body
    assert {output["node_id"]: output["kind"] for output in body["outputs"]} == {"2": "image", "6": "video"}


async def test_a_preview_counts_where_nothing_is_saved(client: Client) -> None:
    """A preview is an output if nothing was saved."""
    workflow = picture()
    workflow["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert (status, size_of(body["image"])) == (200, (64, 64))


async def test_files_in_a_subfolder_and_texts_in_each_dialect(client: Client) -> None:
    """Each dialect returns the subfolder of a file, and texts."""
    workflow = picture(prefix="people/a")
    workflow["3"] = {"class_type": "PrimitiveString", "inputs": {"value": "x"}}
    workflow["4"] = {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}}
    _, native = await client.post("/generate/sync", {"workflow": workflow})
    _, runpod = await client.post("/generate/sync", {"input": {"workflow": workflow}})
    assert [output.get("subfolder") for output in native["outputs"]] == ["people", None]
    assert [image["subfolder"] for image in runpod["images"]] == ["people"]
    assert runpod["texts"] == [{"node_id": "4", "text": "x"}]


async def test_a_preview_counts_beside_a_text(client: Client) -> None:
    """A preview is an output beside a text."""
    workflow = picture()
    workflow["2"] = {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}
    workflow["3"] = {"class_type": "PrimitiveString", "inputs": {"value": "x"}}
    workflow["4"] = {"class_type": "PreviewAny", "inputs": {"source": ["3", 0]}}
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert status == 200, body
    assert [(output["node_id"], output["kind"]) for output in body["outputs"]] == [("2", "image"), ("4", "text")]


@pytest.mark.parametrize("saver", ["SaveImage", "SaveImageWebsocket"])
async def test_a_preview_before_a_saved_picture_is_none(client: Client, saver: str) -> None:
    """A preview is not an output if another node saves an image."""
    workflow = picture()
    workflow["7"] = workflow.pop("2")
    workflow["7"]["class_type"] = saver
    if saver == "SaveImageWebsocket":
        workflow["7"]["inputs"].pop("filename_prefix")
    workflow["2"] = {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}}
    workflow["3"] = {"class_type": "PreviewImage", "inputs": {"images": ["2", 0]}}
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert status == 200, body
    [output] = body["outputs"]
    assert (output["node_id"], output["data"]) == ("7", body["image"])


async def test_a_picture_sent_over_the_websocket_is_an_output(client: Client) -> None:
    """An image that SaveImageWebsocket sends is an output."""
    workflow = picture()
    workflow["2"] = {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}
    status, body = await client.post("/generate/sync", {"workflow": workflow})
    assert (status, size_of(body["image"])) == (200, (64, 64))
