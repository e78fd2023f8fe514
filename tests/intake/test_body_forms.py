"""Bodies in the forms of other tools run, or are rejected with the place of the error."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.conftest import Client, shared_client
from tests.inputs.files import loading, png
from tests.workflows import picture

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

API = picture(64, 32)
EDITOR: dict[str, Any] = {
    "id": "5f0ad8a2-7e52-4ad0-9a06-2d5ff0d4c0aa",
    "revision": 0,
    "last_node_id": 2,
    "last_link_id": 1,
    "nodes": [
        {
            **{"id": 1, "type": "EmptyImage", "pos": [0, 0], "size": [200, 100], "flags": {}, "order": 0, "mode": 0},
            **{"inputs": [], "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}], "properties": {}},
            "widgets_values": [64, 32, 1, 0],
        },
        {
            **{"id": 2, "type": "SaveImage", "pos": [300, 0], "size": [200, 100], "flags": {}, "order": 1, "mode": 0},
            **{"inputs": [{"name": "images", "type": "IMAGE", "link": 1}], "outputs": [], "properties": {}},
            "widgets_values": ["forms"],
        },
    ],
    "links": [[1, 1, 0, 2, 0, "IMAGE"]],
    "groups": [],
    "config": {},
    "extra": {"ds": {"scale": 1}},
    "version": 0.4,
}
TITLED = {node_id: {**node, "_meta": {"title": f"node {node_id}"}} for node_id, node in API.items()}
LONG = {**API, "2": {**API["2"], "_meta": {"title": "x" * 100_000}}}
PNG = base64.b64encode(png()).decode()

NATIVE = {
    "an API file": API,
    "an API file with titles": TITLED,
    "an API file with the editor's keys": {**API, "id": "abc", "version": 0.4, "extra": {"ds": {}}, "_meta": {"a": 1}},
    "an API file below workflow with the editor's keys": {"workflow": {**API, "version": 0.4, "last_node_id": 9}},
    "an API file with a node that is called workflow": {
        "workflow": API["1"],
        "2": {**API["2"], "inputs": {**API["2"]["inputs"], "images": ["workflow", 0]}},
    },
    "an editor's file": EDITOR,
    "ComfyUI's prompt": {"prompt": API, "client_id": "abc", "extra_data": {"extra_pnginfo": {"workflow": EDITOR}}},
    "ComfyUI's prompt with all that its editor sends": {
        **{"prompt": API, "client_id": "abc", "front": False, "number": 0, "partial_execution_targets": None},
        "extra_data": {"extra_pnginfo": {"workflow": EDITOR}, "preview_method": "auto"},
    },
    "an editor's file as the prompt": {"prompt": EDITOR, "client_id": "abc"},
    "what graphToPrompt returns": {"workflow": EDITOR, "output": API},
    "JSON text": {"workflow": json.dumps(API)},
    "JSON text of an editor's file": {"workflow": json.dumps(EDITOR, indent=2)},
    "JSON text twice": {"workflow": json.dumps(json.dumps(API))},
    "JSON text as the prompt": {"prompt": json.dumps(API), "extra_data": json.dumps({"extra_pnginfo": {"a": 1}})},
    "the body as JSON text": json.dumps({"workflow": API}),
    "a file as JSON text": json.dumps(json.dumps(EDITOR)),
    "JSON text of a wrapped workflow": {"workflow": json.dumps({"prompt": API})},
    "inputs as JSON text": {"workflow": loading("a.png"), "inputs": json.dumps({"a.png": PNG})},
    "long JSON text": {"workflow": json.dumps(LONG)},
    "a long body as JSON text": json.dumps({"workflow": LONG}),
    "a long API file": LONG,
    "a long editor's file": {**EDITOR, "extra": {"note": "x" * 100_000}},
    "a long key of the editor's in an API file": {**API, "extra": {"note": "x" * 100_000}},
    "jpg": {"workflow": API, "output": {"format": "JPG"}},
    "image/jpeg": {"workflow": API, "output": {"format": "image/jpeg"}},
    "an empty bucket and webhook of RunPod's": {"workflow": API, "s3Config": {}, "webhook": ""},
}
RUNPOD = {
    "RunPod's": {"input": {"workflow": API}},
    "RunPod's with an editor's file": {"input": {"workflow": EDITOR}},
    "RunPod's with JSON text": {"input": {"workflow": json.dumps(API)}},
    "RunPod's input as JSON text": {"input": json.dumps({"workflow": API})},
    "RunPod's with ComfyUI's prompt": {"input": {"prompt": API, "client_id": "abc"}},
    "RunPod's with prompt and editor's file": {"input": {"prompt": API, "workflow": EDITOR}},
    "RunPod's with an API file": {"input": API},
    "RunPod's with a long API file": {"input": LONG},
    "RunPod's with an editor's file as the input": {"input": EDITOR},
    "RunPod's with images as JSON text": {
        "input": {"workflow": loading("a.png"), "images": json.dumps([{"name": "a.png", "image": PNG}])}
    },
    "RunPod's with its policy": {"input": {"workflow": API}, "policy": {"executionTimeout": 60_000}, "webhook": ""},
}
VAST = {
    "the stock template's": {"input": {"workflow_json": API, "return_outputs_as_base64": True}},
    "the stock template's with JSON text": {"input": {"workflow_json": json.dumps(API)}},
    "the stock template's modifications as JSON text": {
        "input": {"modifier": "RawWorkflow", "modifications": json.dumps({"workflow_json": API})}
    },
}


@pytest.mark.parametrize("form", NATIVE)
async def test_native_forms_run(client: Client, form: str) -> None:
    """Each native form runs, with a native response."""
    status, body = await client.post("/generate/sync", NATIVE[form])
    assert status == 200, body
    assert body["outputs"][0]["kind"] == "image"


@pytest.mark.parametrize("form", RUNPOD)
async def test_runpods_forms_run(client: Client, form: str) -> None:
    """Each form of RunPod's clients runs, with a response in the runpod dialect."""
    status, body = await client.post("/generate/sync", RUNPOD[form])
    assert status == 200, body
    assert body["images"][0]["type"] == "base64"


@pytest.mark.parametrize("form", VAST)
async def test_the_stock_templates_forms_run(client: Client, form: str) -> None:
    """Each form of Vast's stock template runs, with a response in the vast dialect."""
    status, body = await client.post("/generate/sync", VAST[form])
    assert (status, body.get("status")) == (200, "completed"), body


async def test_the_editors_file_keeps_its_id(client: Client) -> None:
    """The `id` of a file of the editor is not the id of the job."""
    ids = [(await client.post("/generate/sync", EDITOR))[1]["id"] for _ in range(2)]
    assert len({*ids, EDITOR["id"]}) == 3


async def test_the_prompt_id_is_the_id(client: Client) -> None:
    """`prompt_id` is the id of the job."""
    body = {"prompt": API, "client_id": "abc", "prompt_id": "6f2ff9a4-6ff4-4d3c-8d43-53f4b3a2e7f0"}
    status, answer = await client.post("/generate/sync", body)
    assert (status, answer["id"]) == (200, body["prompt_id"])
    status, answer = await client.post("/generate/sync", {**body, "id": "other"})
    assert (status, answer["error"]["code"]) == (400, "invalid_field")


async def test_only_the_targets_run(client: Client) -> None:
    """Outputs outside `partial_execution_targets` do not run."""
    prompt = {**API, "3": API["2"]}
    status, body = await client.post("/generate/sync", {"prompt": prompt, "partial_execution_targets": ["3"]})
    assert (status, [output["node_id"] for output in body["outputs"]]) == (200, ["3"])


async def test_a_place_in_the_queue_is_a_warning(client: Client) -> None:
    """`front` and `number` have no effect and give a warning."""
    for fields in ({"front": True}, {"number": -5}, {"front": True, "number": 3.5}):
        for route in ("/generate/sync", "/validate"):
            status, answer = await client.post(route, {"prompt": API, **fields})
            assert status == 200, answer
            assert {warning["input"] for warning in answer["warnings"]} == fields.keys()
    _, answer = await client.post("/generate/sync", {"prompt": EDITOR, "front": True})
    assert "in which they arrive" in answer["warnings"][0]["message"]
    _, answer = await client.post("/generate/sync", {"prompt": API, "front": False, "number": 0})
    assert "warnings" not in answer


ENVELOPED = {"payload": {"input": {"workflow_json": API}}, "auth_data": {"signature": "x", "reqnum": 1, "cost": "1"}}


@pytest.mark.parametrize(
    "body",
    [
        ENVELOPED,
        {"payload": {"workflow": API}},
        {"payload": json.dumps({"workflow": API}), "auth_data": {}},
        {"payload": {"workflow": LONG}, "auth_data": {"note": "x" * 100_000}},
    ],
    ids=["as its clients send it", "without a signature", "as JSON text", "long"],
)
async def test_vasts_envelope_is_opened(client: Client, body: dict[str, Any]) -> None:
    """The envelope of Vast's clients is accepted, and its `payload` is the request."""
    status, answer = await client.post("/generate/sync", body)
    assert (status, answer["status"]) in [(200, "success"), (200, "completed")], answer


BUCKETS = [
    pytest.param({"workflow": API, "s3Config": {"bucketName": "c"}}, "s3Config.bucketName", id="RunPod's at the top"),
    pytest.param({"input": {"workflow": API}, "s3Config": {"bucketName": "pics"}}, "s3Config.accessId", id="RunPod's"),
    pytest.param({"input": {"workflow": API, "s3Config": {"accessId": "a"}}}, "input.s3Config.bucketName", id="inside"),
    pytest.param(
        {"input": {"workflow_json": API}, "s3Config": {"bucketName": "c"}}, "s3Config.bucketName", id="beside Vast's"
    ),
    pytest.param(
        {"input": {"workflow_json": API, "s3": {"bucket_name": "c", "access_key_id": "a"}}},
        "input.s3.bucket_name",
        id="Vast's",
    ),
    pytest.param({"workflow": API, "s3": {"bucket": "c"}}, "s3.bucket", id="native"),
]


@pytest.mark.parametrize(("body", "named"), BUCKETS)
async def test_errors_of_a_bucket_name_the_clients_fields(client: Client, body: dict[str, Any], named: str) -> None:
    """Errors in a bucket use the field names and the place of the client."""
    status, answer = await client.post("/generate/sync", body)
    error = answer.get("error_info", answer["error"])
    assert (status, error["code"]) == (400, "invalid_field")
    assert f"field {named!r}" in error["message"]
    assert named in [detail["input"] for detail in error["details"]]


REFUSED = [
    pytest.param({"prompt": API, "front": "maybe"}, "front", id="no boolean for the front of the queue"),
    pytest.param({"prompt": API, "number": {}}, "number", id="no number for the queue"),
    pytest.param({"prompt": API, "partial_execution_targets": []}, "partial_execution_targets", id="no targets"),
    pytest.param({"prompt": API, "partial_execution_targets": ["9"]}, "names no node", id="unknown target"),
    pytest.param({**API, "output_format": "url"}, "'workflow'", id="an API file with options"),
    pytest.param({**EDITOR, "timeout_s": 3}, "'workflow'", id="an editor's file with options"),
    pytest.param({"input": {**API, "webhook": "http://x"}}, "'input.workflow'", id="an input with options"),
    pytest.param({"workflow": "{'1': {}}"}, "the text of 'workflow' is not JSON", id="Python's own notation"),
    pytest.param({"workflow": "{" + "'1': " * 20_000}, "the text of 'workflow' is not JSON", id="the same, long"),
    pytest.param({"workflow": API, "input": {"workflow": API}}, "'workflow' is beside", id="two workflows"),
    pytest.param({"prompt": API, "input": {"workflow_json": API}}, "'prompt' is beside", id="two, in Vast's words"),
    pytest.param(
        {"input": {"workflow": API, "images": [{"name": "a.png", "image": text} for text in ("AAAA", "BBBB")]}},
        "two images are called 'a.png'",
        id="two images of one name",
    ),
    pytest.param({"workflow": "a cat"}, "workflow", id="a sentence"),
]


@pytest.mark.parametrize(("body", "named"), REFUSED)
async def test_what_could_mean_two_things_is_refused(client: Client, body: dict[str, Any], named: str) -> None:
    """An ambiguous body is rejected with the field and a remedy."""
    status, answer = await client.post("/generate/sync", body)
    error = answer.get("error_info", answer["error"])
    assert (status, error["fault"]) == (400, "client")
    assert named in error["message"]


@pytest.mark.parametrize("form", ["an editor's file", "an API file", "JSON text", "ComfyUI's prompt"])
async def test_validate_reads_the_same_forms(client: Client, form: str) -> None:
    """`POST /validate` accepts the same forms."""
    status, body = await client.post("/validate", NATIVE[form])
    assert (status, body["valid"]) == (200, True), body


@pytest.mark.parametrize("form", ["an editor's file", "an API file", "RunPod's", "JSON text"])
async def test_convert_reads_the_same_forms(client: Client, form: str) -> None:
    """`POST /convert` finds the workflow in any form."""
    status, body = await client.post("/convert", {**NATIVE, **RUNPOD}[form])
    assert (status, sorted(body["prompt"])) == (200, ["1", "2"]), body
