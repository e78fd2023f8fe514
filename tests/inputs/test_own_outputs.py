"""Outputs of earlier jobs as inputs, by job id or by the worker's own URL."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from tests.conftest import Client, bearer, worker
from tests.engines import EngineHandle
from tests.inputs.files import loading
from tests.workflows import Workflow, picture, slow
from worker.inputs.earlier_output import has_reference

TOKENS = {"ann": "a" * 32, "bob": "b" * 32}
GONE = (422, "output_not_kept")


async def run_job(client: Client, workflow: Workflow | None = None, who: str = "", **more: object) -> dict[str, Any]:
    """Run a job with an image of 72 pixels width, and return its response."""
    request = {"workflow": workflow or picture(72, 40), "output_format": "url", **more}
    status, body = await client.post("/generate/sync", request, **bearer(TOKENS.get(who, "")))
    assert status == 200, body
    return body


def named(job: dict[str, Any], output: int = 0) -> dict[str, Any]:
    return {"job": job["id"], "output": output}


def native(source: object) -> dict[str, Any]:
    return {"workflow": loading("step.png"), "inputs": {"step.png": source}}


def in_place(source: object) -> dict[str, Any]:
    return {"workflow": loading(source)}


def in_folder(source: object) -> dict[str, Any]:
    return {"workflow": loading("a/step.png"), "inputs": {"a/step.png": source}}


def runpod(source: object) -> dict[str, Any]:
    return {"input": {"workflow": loading("step.png"), "images": [{"name": "step.png", "image": source}]}}


def runpod_in_place(source: object) -> dict[str, Any]:
    return {"input": {"workflow": loading(source)}}


def vast(source: object) -> dict[str, Any]:
    return {"input": {"workflow_json": loading(source), "return_outputs_as_base64": True}}


def editor(source: object) -> dict[str, Any]:
    nodes = [
        {"id": 1, "type": "LoadImage", "widgets_values": [source, "image"], "outputs": [{"type": "IMAGE"}]},
        {"id": 2, "type": "SaveImage", "widgets_values": ["x"]},
    ]
    nodes[1]["inputs"] = [{"name": "images", "type": "IMAGE", "link": 1}]
    return {"workflow": {"nodes": nodes, "links": [[1, 1, 0, 2, 0, "IMAGE"]], "version": 0.4}}


def width(body: dict[str, Any]) -> int:
    """Return the width of the first image in a response of any dialect."""
    first = (body.get("outputs") or body.get("images") or body.get("output"))[0]
    return int.from_bytes(base64.b64decode(first["data"])[16:20])


async def refused(client: Client, request: dict[str, Any], who: str = "") -> tuple[int, str, dict[str, Any]]:
    status, body = await client.post("/generate/sync", request, **bearer(TOKENS.get(who, "")))
    assert status != 200, body
    return status, body["error"]["code"], body["error"]


FORMS = [native, in_place, in_folder, runpod, runpod_in_place, vast, editor]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
@pytest.mark.parametrize("shared", [True, False], ids=["shared folders", "over HTTP"])
async def test_by_id_and_by_url_in_every_dialect(engine: EngineHandle, tmp_path: Path, form: Any, shared: bool) -> None:
    """An earlier output is accepted as content and in place of a name. Its loopback URL is not fetched."""
    async with worker(engine, tmp_path, **{} if shared else {"comfyui_input": None}) as client:
        job = await run_job(client)
        for source in (named(job), job["outputs"][0]["url"]):
            status, body = await client.post("/generate/sync", form(source))
            assert (status, width(body)) == (200, 72), body


async def test_by_the_public_url(engine: EngineHandle, tmp_path: Path) -> None:
    """A URL under WORKER_PUBLIC_URL is read from disk without a request."""
    async with worker(engine, tmp_path, public_url="https://gpu.example.com/one") as client:
        job = await run_job(client)
        url = job["outputs"][0]["url"]
        assert url.startswith("https://gpu.example.com/one/jobs/")
        for source in (url, url.replace("https://gpu.example.com/one", client.app.url)):
            status, body = await client.post("/generate/sync", in_place(source))
            assert (status, width(body)) == (200, 72), body


async def test_a_template_accepts_an_earlier_output(client: Client) -> None:
    """A file parameter of a template accepts an earlier output."""
    job = await run_job(client)
    for source in (named(job), job["outputs"][0]["url"]):
        request = {"template": "sd15-image-to-image", "params": {"image": source, "prompt": "x"}}
        status, body = await client.post("/validate", request)
        assert status == 200, body


async def test_only_outputs_of_the_caller(engine: EngineHandle, tmp_path: Path) -> None:
    """Another caller's job is not found, by id or by URL, unless the request has the job's token."""
    tokens = SecretStr(",".join(f"{name}={token}" for name, token in TOKENS.items()))
    async with worker(engine, tmp_path, tokens=tokens) as client:
        job = await run_job(client, who="ann", id="step-1")
        url = job["outputs"][0]["url"]
        for source in (named(job), url, url.partition("?")[0], {**named(job), "token": job_token(url)}):
            status, body = await client.post("/generate/sync", in_place(source), **bearer(TOKENS["ann"]))
            assert (status, width(body)) == (200, 72), body
        for source in (named(job), url.partition("?")[0], f"{url}x", {**named(job), "token": "x" * 32}):
            status, code, error = await refused(client, in_place(source), "bob")
            assert (status, code) == GONE
            assert "may have expired" in error["message"]
        for source in (url, {**named(job), "token": job_token(url)}):
            status, body = await client.post("/generate/sync", in_place(source), **bearer(TOKENS["bob"]))
            assert (status, width(body)) == (200, 72), body


def job_token(url: str) -> str:
    return url.partition("token=")[2]


async def test_a_missing_output_is_refused(client: Client) -> None:
    """A missing job, a missing output, a text, and an unfinished job are refused with a suggestion."""
    job = await run_job(client)
    for source in ({"job": "nobodys", "output": 0}, client.app.url + "/jobs/nobodys/outputs/0?token=x"):
        status, code, error = await refused(client, in_place(source))
        assert (status, code) == GONE
        assert error["details"][0]["suggestion"]
    status, code, error = await refused(client, native(named(job, 7)))
    assert ((status, code), "has no output 7: it has 1" in error["message"]) == (GONE, True)
    message = {"1": {"class_type": "PreviewAny", "inputs": {"source": "words"}}}
    text = await run_job(client, message)
    status, code, error = await refused(client, native(named(text)))
    assert (status, code) == (400, "invalid_input_file")
    assert "is text and has no file" in error["message"]
    _, running = await client.post("/generate", {"workflow": slow(5.0, 100)})
    status, code, error = await refused(client, native(named(running)))
    assert ((status, code), "has not ended yet" in error["message"]) == (GONE, True)
    await client.delete(f"/jobs/{running['id']}", running["token"])
    status, code, error = await refused(client, native(named(running)))
    assert ((status, code), "it is cancelled" in error["message"]) == (GONE, True)


async def test_an_expired_output_is_refused(engine: EngineHandle, tmp_path: Path) -> None:
    """An expired output is refused, and its URL is not fetched."""
    async with worker(engine, tmp_path, result_ttl_s=0.3) as client:
        job = await run_job(client, id="short")
        await asyncio.sleep(1.0)
        for source in (named(job), job["outputs"][0]["url"]):
            assert (await refused(client, in_place(source)))[:2] == GONE


async def test_a_repeated_request_finds_its_job_when_the_output_is_gone(engine: EngineHandle, tmp_path: Path) -> None:
    """A repeated request returns its job even if the output has expired, and a running job keeps the file."""
    async with worker(engine, tmp_path) as client:
        job = await run_job(client)
        request = {**in_place(named(job)), "id": "second"}
        assert (await client.post("/generate/sync", request))[0] == 200
        for path in (tmp_path / "outputs").glob("*/0-*"):
            path.unlink()
        assert (await refused(client, in_place(named(job))))[:2] == GONE
        status, _ = await client.post("/generate", request)
        assert status in {200, 202}


@pytest.mark.parametrize(
    "source",
    [
        {"job": "x", "output": -1},
        {"job": "x", "output": "0"},
        {"job": "x", "output": True},
        {"job": "../x", "output": 0},
        {"job": "", "output": 0},
        {"job": 5, "output": 0},
        {"job": "x", "output": 0, "token": 1},
        {"job": "x\n", "output": 0},
    ],
    ids=repr,
)
async def test_a_bad_reference_is_refused(client: Client, source: dict[str, Any]) -> None:
    """A bad reference is refused with the name of its field, in every place."""
    for form in (native, in_place, runpod, vast):
        status, body = await client.post("/generate/sync", form(source))
        assert status == 400, body


async def test_text_inputs_accept_no_reference(client: Client) -> None:
    """A reference in a text input is refused, and a URL in a text input is a text."""
    job = await run_job(client)
    workflow = picture() | {"9": {"class_type": "PrimitiveString", "inputs": {"value": named(job)}}}
    status, code, error = await refused(client, {"workflow": workflow})
    assert (status, code, error["details"][0]["node_id"]) == (422, "file_not_allowed", "9")
    workflow["9"]["inputs"]["value"] = job["outputs"][0]["url"]
    assert (await client.post("/generate/sync", {"workflow": workflow}))[0] == 200


async def test_a_reference_can_be_validated(client: Client) -> None:
    """`POST /validate` accepts references, and returns what the job would do."""
    job = await run_job(client)
    for form in (native, in_place, vast, editor):
        status, body = await client.post("/validate", form(named(job)))
        assert (status, body["valid"]) == (200, True), body


async def test_an_output_of_an_earlier_process_is_an_input(engine: EngineHandle, tmp_path: Path) -> None:
    """After a restart the output of an earlier job is an input, and the new output can be one as well."""
    async with worker(engine, tmp_path) as client:
        job = await run_job(client, id="first")
    async with worker(engine, tmp_path) as client:
        second = await run_job(client, loading(named(job)), id="second")  # type: ignore[arg-type]
        status, body = await client.post("/generate/sync", native(named(second)))
        assert (status, width(body)) == (200, 72), body


async def test_deep_lists_are_searched() -> None:
    """has_reference finds a reference at any depth that JSON can have."""
    assert has_reference(orjson.loads("[" * 1000 + '{"job": "a", "output": 0}' + "]" * 1000))
