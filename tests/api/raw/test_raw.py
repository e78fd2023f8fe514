"""Responses whose body is a file of the job."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
from multidict import CIMultiDictProxy

from tests.conftest import Client, worker
from tests.engines import EngineHandle
from tests.workflows import Workflow, failing, picture, slow
from worker.platforms.base import Traits

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class RawResponse:
    """Status, headers and body of a response."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        assert self.headers["Content-Type"].startswith("application/json"), self.headers
        found: dict[str, Any] = orjson.loads(self.body)
        return found


async def ask(client: Client, body: object, accept: str, query: str = "") -> RawResponse:
    """Send a request and return the response."""
    url = f"{client.app.url}/generate/sync{query}"
    async with client.http.post(url, json=body, headers={"Accept": accept}) as answer:
        return RawResponse(answer.status, answer.headers, await answer.read())


def several() -> Workflow:
    """Return a workflow with two images, a video and a text, in this order."""
    workflow = picture(prefix="first")
    workflow["3"] = {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "second"}}
    workflow["4"] = {"class_type": "PreviewAny", "inputs": {"source": ["9", 0]}}
    workflow["5"] = {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 8}}
    workflow["6"] = {
        "class_type": "SaveVideo",
        "inputs": {"video": ["5", 0], "filename_prefix": "v", "format": "auto", "codec": "auto"},
    }
    workflow["9"] = {"class_type": "PrimitiveString", "inputs": {"value": "x"}}
    return workflow


async def test_the_first_picture_is_the_body(client: Client, engine: EngineHandle) -> None:
    """The body is the first image as ComfyUI wrote it, and headers have the facts of the JSON response."""
    answer = await ask(client, {"workflow": picture(prefix="raw/one")}, "image/*")
    assert answer.status == 200
    assert answer.body == (engine.output / "raw" / "one_00001_.png").read_bytes()
    headers = answer.headers
    assert (headers["Content-Type"], headers["Content-Length"]) == ("image/png", str(len(answer.body)))
    assert headers["Content-Disposition"] == 'inline; filename="one_00001_.png"'
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert (headers["X-Job-Outputs"], headers["X-Output-Index"]) == ("1", "0")
    timings = dict(entry.split(";dur=") for entry in headers["Server-Timing"].split(", "))
    assert list(timings) == ["queued", "preparing", "waiting", "generating", "delivering", "total"]
    assert float(timings["total"]) > 0


async def test_the_token_opens_the_rest(client: Client) -> None:
    """The token in the headers opens the JSON response and every file with its hash."""
    answer = await ask(client, {"workflow": several()}, "image/*")
    job_id, token = answer.headers["X-Job-Id"], answer.headers["X-Job-Token"]
    status, job = await client.get(f"/jobs/{job_id}", token)
    assert (status, job["status"]) == (200, "success")
    assert len(job["outputs"]) == int(answer.headers["X-Job-Outputs"]) == 4
    [first] = [output for output in job["outputs"] if output["index"] == int(answer.headers["X-Output-Index"])]
    assert (first["node_id"], first["sha256"]) == ("2", hashlib.sha256(answer.body).hexdigest())
    assert (first["width"], first["height"], first["bytes"]) == (64, 64, len(answer.body))
    async with client.http.get(f"{client.app.url}/jobs/{job_id}/outputs/{first['index']}?token={token}") as file:
        assert await file.read() == answer.body


async def test_another_output_by_its_index(client: Client) -> None:
    """`?output=` selects an output by its index. Its type has to be accepted."""
    request = {"workflow": several(), "id": "several"}
    _, job = await client.post("/generate/sync", request)
    index = {output["node_id"]: output["index"] for output in job["outputs"]}
    second = await ask(client, request, "image/*", f"?output={index['3']}")
    assert second.headers["Content-Disposition"].startswith('inline; filename="second_')
    assert second.body == PNG + second.body[8:]
    video = await ask(client, request, "video/*")
    assert (video.status, video.headers["Content-Type"]) == (200, "video/mp4")
    assert int(video.headers["X-Output-Index"]) == index["6"]
    assert (await ask(client, request, "image/*", f"?output={index['6']}")).status == 406
    assert (await ask(client, request, "image/*", f"?output={index['4']}")).status == 406


async def test_an_output_that_is_not_there(client: Client) -> None:
    """An unknown index is 404 with the known ones. An invalid index is rejected before the job."""
    missing = await ask(client, {"workflow": picture(), "id": "one"}, "image/*", "?output=3")
    assert (missing.status, missing.json["error"]["code"]) == (404, "not_found")
    assert "its outputs are: 0" in missing.json["error"]["message"]
    for text in ("x", "-1", "", "1e3"):
        refused = await ask(client, {"workflow": picture()}, "image/*", f"?output={text}")
        assert (refused.status, refused.json["error"]["code"], refused.json["id"]) == (400, "invalid_field", None)


async def test_nothing_of_the_type(client: Client) -> None:
    """406 lists the outputs in the dialect of the request, and the token opens the result."""
    answer = await ask(client, {"workflow": several()}, "audio/*")
    error = answer.json["error"]
    assert (answer.status, error["code"], error["fault"], error["retryable"]) == (
        406,
        "not_acceptable",
        "client",
        False,
    )
    assert "image (2), text (1), video (1)" in error["message"]
    assert [detail["node_id"] for detail in error["details"]] == ["2", "3", "4", "6"]
    assert "image/png" in error["details"][0]["message"]
    assert (await client.get(f"/jobs/{answer.json['id']}", answer.json["token"]))[0] == 200
    stock = await ask(client, {"input": {"workflow_json": picture()}}, "audio/*")
    assert (stock.status, stock.json["status"], stock.json["error"]["code"]) == (406, "failed", "not_acceptable")


async def test_json_where_it_is_wanted_too(client: Client) -> None:
    """Quality values decide between JSON and files. A client that accepts JSON never gets 406."""
    for accept in ("*/*", "image/*, application/json", "image/*;q=0.5, application/json;q=0.6", "audio/*, */*;q=0.1"):
        assert (await ask(client, {"workflow": picture()}, accept)).json["status"] == "success"
    answer = await ask(client, {"workflow": picture()}, "image/png;q=0.6, application/json;q=0.5")
    assert answer.headers["Content-Type"] == "image/png"


async def test_every_dialect_and_way_of_delivery(client: Client) -> None:
    """A file is sent in every dialect and with every output format."""
    stock = await ask(client, {"input": {"workflow_json": picture(), "request_id": "stock"}}, "image/png")
    assert (stock.status, stock.headers["X-Job-Id"], stock.body[:8]) == (200, "stock", PNG)
    assert (await ask(client, {"input": {"workflow": picture()}}, "image/png")).body.startswith(PNG)
    by_url = await ask(client, {"workflow": picture(), "output_format": "url"}, "image/png")
    assert by_url.body.startswith(PNG)
    status, job = await client.get(f"/jobs/{by_url.headers['X-Job-Id']}", by_url.headers["X-Job-Token"])
    assert (status, job["image"].startswith(client.app.url)) == (200, True)


async def test_the_format_is_the_converted_one(client: Client) -> None:
    """The file is converted first, and the converted type is compared with `Accept`."""
    request = {"workflow": picture(), "output": {"format": "webp"}, "id": "webp"}
    answer = await ask(client, request, "image/webp")
    assert (answer.status, answer.body[8:12]) == (200, b"WEBP")
    assert (await ask(client, request, "image/png")).status == 406


async def test_the_same_id_finds_the_same_file(client: Client) -> None:
    """Repeated and concurrent requests with one id get the file of one job."""
    request = {"workflow": slow(0.3), "id": "twice"}
    (_, json), first = await asyncio.gather(client.post("/generate/sync", request), ask(client, request, "image/*"))
    later = await ask(client, request, "image/*")
    assert first.body == later.body
    assert hashlib.sha256(later.body).hexdigest() == json["outputs"][0]["sha256"]


async def test_no_limit_of_a_json_answer_applies(engine: EngineHandle, tmp_path: Path) -> None:
    """A file above WORKER_INLINE_MAX_MIB is sent, and a JSON response with it is rejected."""
    big = {"1": {"class_type": "EmbeddedBigFile", "inputs": {"mebibytes": 3, "filename_prefix": "big"}}}
    async with worker(engine, tmp_path, inline_max=2) as client:
        raw = await ask(client, {"workflow": big, "id": "raw"}, "application/octet-stream")
        assert (raw.status, len(raw.body)) == (200, 3 * 1024 * 1024)
        status, json = await client.post("/generate/sync", {"workflow": big, "id": "raw"})
        assert (status, json["error"]["code"]) == (422, "output_too_large_for_inline")
        big["1"]["inputs"]["filename_prefix"] = "other"
        assert (await client.post("/generate/sync", {"workflow": big, "id": "json"}))[0] == 422
        again = await ask(client, {"workflow": big, "id": "json"}, "application/octet-stream")
        assert (again.status, len(again.body)) == (200, 3 * 1024 * 1024)


async def test_a_large_file_is_never_whole_in_memory(client: Client) -> None:
    """A file of 200 MiB is streamed in pieces, and dropped when the client disconnects."""
    big = {"1": {"class_type": "EmbeddedBigFile", "inputs": {"mebibytes": 200, "filename_prefix": "huge"}}}
    url, headers = f"{client.app.url}/generate/sync", {"Accept": "application/octet-stream"}
    async with client.http.post(url, json={"workflow": big, "id": "huge"}, headers=headers) as answer:
        assert len(await answer.content.readexactly(100_000)) == 100_000  # and no more: the connection is closed here
    async with client.http.post(url, json={"workflow": big, "id": "huge"}, headers=headers) as answer:
        size = 0
        async for piece in answer.content.iter_any():
            size += len(piece)
    assert size == answer.content_length == 200 * 1024 * 1024


async def test_repairs_are_counted(client: Client) -> None:
    """`X-Job-Repairs` is the number of repairs, and is missing without any."""
    answer = await ask(client, {"workflow": picture() | {"7": {"class_type": "Note", "inputs": {}}}}, "image/*")
    assert (answer.status, answer.headers["X-Job-Repairs"]) == (200, "1")
    answer = await ask(client, {"workflow": picture()}, "image/*")
    assert answer.headers.keys().isdisjoint({"X-Job-Repairs", "X-Job-Warnings", "X-Job-Problems"})


async def test_problems_are_counted(client: Client) -> None:
    """`X-Job-Problems` is the number of undelivered files, which the JSON response lists."""
    workflow = picture()
    reported = '{"images": [{"filename": "lost.png", "subfolder": "", "type": "output"}]}'
    workflow["3"] = {"class_type": "EmbeddedReport", "inputs": {"json": reported}}
    answer = await ask(client, {"workflow": workflow}, "image/*")
    assert (answer.status, answer.headers["X-Job-Outputs"], answer.headers["X-Job-Problems"]) == (200, "1", "1")
    _, job = await client.get(f"/jobs/{answer.headers['X-Job-Id']}", answer.headers["X-Job-Token"])
    assert [problem["code"] for problem in job["problems"]] == ["output_missing"]


async def test_names_in_any_script(client: Client) -> None:
    """`Content-Disposition` has an ASCII name for old clients and the name in UTF-8 (RFC 6266)."""
    answer = await ask(client, {"workflow": picture(prefix="лодка 50%")}, "image/*")
    plain, encoded = answer.headers["Content-Disposition"].split("; ")[1:]
    assert plain == 'filename="_____ 50__00001_.png"'
    assert unquote(encoded.removeprefix("filename*=UTF-8''")) == "лодка 50%_00001_.png"


async def test_errors_and_202_stay_json(engine: EngineHandle, tmp_path: Path) -> None:
    """Errors and 202 responses are JSON."""
    async with worker(engine, tmp_path, Traits(sync_limit_s=0.2)) as client:
        failed = await ask(client, {"workflow": failing()}, "image/*")
        assert (failed.status, failed.json["error"]["code"]) == (422, "node_failed")
        assert (await ask(client, {"workflow": {}}, "image/*")).json["error"]["fault"] == "client"
        pending = await ask(client, {"workflow": slow(0.6)}, "image/*")
        assert (pending.status, pending.json["status"]) == (202, "pending")


async def test_a_platform_whose_clients_read_json(engine: EngineHandle, tmp_path: Path) -> None:
    """On a platform without raw responses `Accept` is ignored."""
    async with worker(engine, tmp_path, Traits(raw_answers=False)) as client:
        assert (await ask(client, {"workflow": picture()}, "image/*", "?output=x")).json["status"] == "success"
        assert (await ask(client, {"workflow": picture()}, "video/*")).json["status"] == "success"


async def test_a_platform_that_carries_less(engine: EngineHandle, tmp_path: Path) -> None:
    """A file above the platform's limit is rejected. The size of a smaller file is not counted as base64."""
    async with worker(engine, tmp_path, Traits(max_response_bytes=2000)) as client:
        answer = await ask(client, {"workflow": picture(512, 512)}, "image/*")
        assert (answer.status, answer.json["error"]["code"]) == (422, "output_too_large_for_inline")
        assert (await ask(client, {"workflow": picture()}, "image/*")).status == 200
