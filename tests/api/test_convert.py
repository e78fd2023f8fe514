"""Files of the editor are converted on request, and wherever a workflow is accepted."""

from __future__ import annotations

import base64
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import SecretStr

from tests.api.test_generate import size_of
from tests.conftest import Client, bearer, shared_client, worker
from tests.engines import EngineHandle
from tests.workflows import drawn, picture

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

JSON = "application/json"


async def sent(client: Client, data: bytes | aiohttp.FormData) -> tuple[int, dict[str, Any]]:
    """Return the response of `POST /convert`."""
    async with client.http.post(client.app.url + "/convert", data=data) as answer:
        return answer.status, await answer.json()


async def test_the_prompt_of_what_the_editor_saved(client: Client) -> None:
    """The prompt has the ids, titles and links of the editor. Muted nodes are listed as left out."""
    status, body = await client.post("/convert", drawn(96, 48))
    assert status == 200
    assert body["prompt"]["2"] == {
        "class_type": "SaveImage",
        "inputs": {"filename_prefix": "drawn", "images": ["1", 0]},
        "_meta": {"title": "Keep"},
    }
    assert body["prompt"]["1"]["inputs"]["width"] == 96
    assert [(row["node_id"], row["node_title"], row["message"]) for row in body["left_out"]] == [("5", "Look", "muted")]
    assert body["warnings"] == []


async def test_what_was_converted_runs(client: Client) -> None:
    """The converted prompt runs."""
    _, body = await client.post("/convert", drawn(96, 48))
    status, result = await client.post("/generate/sync", {"workflow": body["prompt"]})
    assert (status, size_of(result["image"])) == (200, (96, 48))


@pytest.mark.parametrize("wrap", [lambda prompt: prompt, lambda prompt: {"prompt": prompt, "workflow": drawn()}])
async def test_a_prompt_stays_as_it_is(client: Client, wrap: Any) -> None:
    """A prompt in API format is returned unchanged, also if it is wrapped."""
    prompt = picture()
    _, body = await client.post("/convert", wrap(prompt))
    assert body["prompt"] == prompt


async def test_more_than_a_workflow_is_not_parsed_in_a_picture(client: Client) -> None:
    """An image with too much JSON is rejected before it is parsed."""
    text = '{"1": {"class_type": "A", "inputs": {"x": [' + ",".join(["{}"] * 100_000) + "]}}}"
    info, file = PngInfo(), BytesIO()
    info.add_text("prompt", text)
    Image.new("RGB", (1, 1)).save(file, "PNG", pnginfo=info)
    status, answer = await sent(client, file.getvalue())
    assert (status, answer["error"]["code"]) == (422, "cannot_convert")


async def test_a_picture_tells_its_prompt(client: Client) -> None:
    """The workflow in an image is converted, sent as the body or as a part of a form."""
    _, made = await client.post("/generate/sync", {"workflow": drawn(40, 24)})
    data = base64.b64decode(made["image"])
    status, body = await sent(client, data)
    assert (status, body["prompt"]["1"]["inputs"]["width"]) == (200, 40)
    form = aiohttp.FormData()
    form.add_field("file", data, filename="drawn.png", content_type="image/png")
    assert await sent(client, form) == (status, body)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "cannot_convert"),
        (b"[]", "invalid_workflow"),
        (b"{}", "invalid_workflow"),
        (b"\x89PNG\r\n\x1a\n", "cannot_convert"),
        (b'{"nodes": [{"id": 7, "type": "SaveImagge"}], "links": []}', "cannot_convert"),
    ],
)
async def test_refusals(client: Client, data: bytes, code: str) -> None:
    """A conversion error has the error object, and names the node if there is one."""
    status, body = await sent(client, data)
    assert (status, body["error"]["code"], body["error"]["fault"]) == (422, code, "client")
    if b"SaveImagge" in data:
        assert body["error"]["details"][0]["node_id"] == "7"
        assert body["error"]["details"][0]["suggestion"] == "Did you mean 'SaveImage'?"


async def test_only_who_may_ask(engine: EngineHandle, tmp_path: Path) -> None:
    """With tokens configured, the route needs one."""
    async with worker(engine, tmp_path, tokens=SecretStr("me=" + "t" * 20)) as client:
        assert (await client.post("/convert", drawn()))[0] == 401
        assert (await client.post("/convert", drawn(), **bearer("t" * 20)))[0] == 200


async def test_native_takes_the_editors_format(client: Client) -> None:
    """The native dialect runs a file of the editor as the editor would queue it."""
    status, body = await client.post("/generate/sync", {"workflow": drawn(96, 48)})
    assert (status, size_of(body["image"])) == (200, (96, 48))


async def test_stock_template_takes_the_editors_format(client: Client) -> None:
    """The vast dialect accepts a file of the editor as `workflow_json`."""
    request = {"input": {"workflow_json": drawn(96, 48), "return_outputs_as_base64": True}}
    status, body = await client.post("/generate/sync", request)
    assert (status, size_of(body["output"][0]["data"])) == (200, (96, 48))


async def test_runpod_takes_the_editors_format(client: Client) -> None:
    """The runpod dialect accepts a file of the editor as `input.workflow`."""
    status, body = await client.post("/generate/sync", {"input": {"workflow": drawn(96, 48)}})
    assert (status, size_of(body["images"][0]["data"])) == (200, (96, 48))


async def test_a_job_that_cannot_be_converted_is_refused_in_its_dialect(client: Client) -> None:
    """A workflow that cannot be converted is rejected before it is queued, in its dialect, with the node."""
    broken = drawn()
    broken["nodes"][0]["type"] = "EmptyImagge"
    status, body = await client.post("/generate/sync", {"input": {"workflow": broken}})
    assert (status, body["error_info"]["code"]) == (422, "cannot_convert")
    assert body["error_info"]["details"][0]["node_id"] == "1"


async def test_the_same_work_in_both_formats(client: Client) -> None:
    """The workload is the same for both formats."""
    _, body = await client.post("/convert", drawn(512, 512))
    of = client.app.intake.workload_of
    assert of({"workflow": drawn(512, 512)}) == of({"workflow": body["prompt"]})
    assert of({"workflow": {"nodes": [{"id": 1, "type": "Nonsense"}], "links": []}}) == of({})


async def test_json_that_takes_long_to_parse_is_refused(client: Client) -> None:
    """`/convert` has the same limit on JSON as `/validate`."""
    body = b'{"nodes": [' + b"{}," * 60_000 + b"{}]}"
    status, answer = await sent(client, body)
    assert (status, answer["error"]["code"]) == (413, "body_too_large")
    async with client.http.post(client.app.url + "/validate", data=b'{"workflow": ' + body + b"}") as refused:
        assert refused.status == 413
