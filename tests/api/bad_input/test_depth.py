"""JSON that is nested too deep gets the same error at every place of a request."""

from __future__ import annotations

import io
import struct
import zlib

import aiohttp
import pytest

from tests.api.bad_input.bodies import PIXEL
from tests.conftest import Client, shared_client
from worker.bodies import DEEPEST_JSON

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

DEEP = (DEEPEST_JSON, 150, 254, 300, 950, 1_500, 20_000)
NODES = (
    b'"1":{"class_type":"EmptyImage","inputs":{"width":64,"height":64,"batch_size":1,"color":3%s}},'
    b'"2":{"class_type":"SaveImage","inputs":{"images":["1",0],"filename_prefix":"deep"}}'
)
PLAIN = b"{%b}" % (NODES % b"")
EDITOR = b'{"nodes":[{"id":1,"type":"Note","widgets_values":%s}],"links":[]}'
BODIES = {
    "inputs": b'{"workflow":{%b}}' % (NODES % b',"x":%s'),
    "meta": b'{"workflow":%b}' % PLAIN.replace(b'"2":{', b'"2":{"_meta":%s,'),
    "extra_data": b'{"workflow":%b,"extra_data":{"extra_pnginfo":{"a":%%s}}}' % PLAIN,
    "editor": b'{"workflow":%b}' % EDITOR,
    "file": EDITOR,
    "params": b'{"template":"smoke-resize","params":{"width":32,"height":32,"color":5,"method":%s}}',
    "files": b'{"workflow":%b,"inputs":%%s}' % PLAIN,
    "unknown field": b'{"workflow":%b,"client_id":%%s}' % PLAIN,
    "vast": b'{"input":{"workflow_json":%b,"webhook":{"url":"","extra_params":{"a":%%s}}}}' % PLAIN,
    "runpod": b'{"input":{"workflow":%b},"policy":%%s}' % PLAIN,
    "modifier": b'{"input":{"modifier":"RawWorkflow","modifications":{"workflow_json":%b,"a":%%s}}}' % PLAIN,
    "envelope": b'{"payload":{"workflow":%b,"client_id":%%s}}' % PLAIN,
    "whole": b"[%s]",
}


def nested(levels: int, opens: bytes, closes: bytes) -> bytes:
    return opens * levels + b"1" + closes * levels


async def post(client: Client, path: str, body: bytes, kind: str = "application/json") -> tuple[int, str]:
    """Return status and error code. The code is empty without an error."""
    async with client.http.post(client.app.url + path, data=body, headers={"Content-Type": kind}) as answer:
        found = await answer.json()
    return answer.status, (found.get("error") or found).get("code", "") if answer.status >= 400 else ""


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("brackets", [(b"[", b"]"), (b'{"a":', b"}")], ids=["lists", "objects"])
async def test_deep_json_is_refused_everywhere(client: Client, name: str, brackets: tuple[bytes, bytes]) -> None:
    """JSON above the limit is 400 `invalid_json` at every place and on every route."""
    for levels in DEEP:
        body = BODIES[name] % nested(levels, *brackets)
        for path in ("/generate/sync", "/generate", "/generate/stream", "/validate"):
            assert await post(client, path, body) == (400, "invalid_json"), (path, levels)
        status, code = await post(client, "/convert", body)
        assert (status, code) in {(422, "cannot_convert"), (422, "invalid_workflow")}, levels


async def test_a_hundred_thousand_levels(client: Client) -> None:
    """A body with more lists than the parser accepts is 413."""
    deep = nested(100_000, b"[", b"]")
    assert await post(client, "/generate/sync", BODIES["inputs"] % deep) == (413, "body_too_large")
    assert await post(client, "/convert", BODIES["file"] % deep) == (413, "body_too_large")


@pytest.mark.parametrize("name", ["inputs", "meta", "extra_data", "editor"])
async def test_json_up_to_the_limit_runs(client: Client, name: str) -> None:
    """A job with JSON at the limit runs, and its response can be read."""
    body = BODIES[name] % nested(DEEPEST_JSON - 6, b"[", b"]")
    status, code = await post(client, "/generate/sync", body)
    assert (status, code) in {(200, ""), (422, "cannot_convert"), (422, "invalid_workflow")}, code
    assert (await post(client, "/validate", body))[0] == 200


async def test_deep_json_in_text(client: Client) -> None:
    """A text with JSON has the same limit, at each place where one is opened."""
    for levels in (DEEPEST_JSON + 1, 900):
        text = b'"{\\"a\\":%b}"' % nested(levels, b"[", b"]")
        for body in (b'{"workflow":%b}', b'{"input":%b}', b'{"template":"smoke-resize","params":%b}', b"%b"):
            assert await post(client, "/generate/sync", body % text) == (400, "invalid_json"), (body, levels)


async def test_deep_json_in_long_bodies(client: Client) -> None:
    """The limit holds for a body with a long string, too, which is read in another way."""
    body = b'{"inputs":{"a.png":"%b"},"workflow":%b,"client_id":%b}'
    for levels in (DEEPEST_JSON, 900):
        long = body % (b"A" * 100_000, PLAIN, nested(levels, b"[", b"]"))
        assert await post(client, "/generate/sync", long) == (400, "invalid_json"), levels


async def test_deep_json_in_a_form(client: Client) -> None:
    """Parts of a form, and forms that are URL-encoded, have it as well."""
    deep = BODIES["inputs"] % nested(300, b"[", b"]")
    form = aiohttp.FormData()
    form.add_field("request", deep.decode(), content_type="application/json")
    form.add_field("a.png", io.BytesIO(b"x"), filename="a.png")
    async with client.http.post(client.app.url + "/generate/sync", data=form) as answer:
        assert answer.status == 400, await answer.text()
    kind = "application/x-www-form-urlencoded"
    assert await post(client, "/generate/sync", deep, kind) == (400, "invalid_json")
    assert await post(client, "/generate/sync", b"payload=" + deep, kind) == (400, "invalid_json")


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(text: bytes) -> bytes:
    """A picture that carries a prompt."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"tEXt", b"prompt\0" + text) + chunk(b"IEND", b"")


def glb(json: bytes) -> bytes:
    return b"glTF" + struct.pack("<II", 2, 20 + len(json)) + struct.pack("<I", len(json)) + b"JSON" + json


@pytest.mark.parametrize("levels", [150, 300, 900, 2_000])
async def test_deep_json_inside_a_file(client: Client, levels: int) -> None:
    """A file with a deeply nested workflow cannot be converted."""
    deep = nested(levels, b"[", b"]")
    files = [
        png(b"{%b}" % (NODES % (b',"x":' + deep))),
        glb(b'{"asset":{"extras":{"prompt":{"1":%b}}}}' % deep),
        b'<svg><metadata><![CDATA[{"prompt":%b}]]></metadata></svg>' % deep,
        struct.pack("<Q", len(deep) + 30) + b'{"__metadata__":{"prompt":{"a":%b}}}' % deep,
    ]
    for file in files:
        assert await post(client, "/convert", file, "image/png") == (422, "cannot_convert"), file[:20]


async def test_deep_json_for_a_delivery(client: Client) -> None:
    """The body of `POST /jobs/{id}/deliver` has the same limit."""
    body = b'{"workflow":%b,"inputs":{"a.png":"%b"}}' % (PLAIN, PIXEL.encode())
    async with client.http.post(client.app.url + "/generate", data=body) as answer:
        job = await answer.json()
    path = f"/jobs/{job['id']}/deliver?token={job['token']}"
    assert await post(client, path, b'{"output":%b}' % nested(300, b"[", b"]")) == (400, "invalid_json")
