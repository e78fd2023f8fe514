"""Base64 in place of a file name in a file input."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from tests.conftest import Client, shared_client
from tests.inputs.files import loading, noise, png
from tests.workflows import Workflow, picture
from worker.inputs.content.signatures import base64_media_type, looks_like_base64, media_type

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client


def saved(name: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, name)
    return buffer.getvalue()


def text_of(data: bytes) -> str:
    return base64.b64encode(data).decode()


def native(workflow: Workflow) -> dict[str, Any]:
    return {"workflow": workflow}


def runpod(workflow: Workflow) -> dict[str, Any]:
    return {"input": {"workflow": workflow}}


def vast(workflow: Workflow) -> dict[str, Any]:
    return {"input": {"workflow_json": workflow, "return_outputs_as_base64": True}}


def width(body: dict[str, Any]) -> int:
    first = (body.get("outputs") or body.get("images") or body.get("output"))[0]
    return int.from_bytes(base64.b64decode(first["data"])[16:20])


@pytest.mark.parametrize("dialect", [native, runpod, vast], ids=lambda dialect: dialect.__name__)
@pytest.mark.parametrize("data", [png(), noise(200)], ids=["in memory", "in a file"])
async def test_base64_is_read_in_every_dialect(client: Client, dialect: Any, data: bytes) -> None:
    """Short base64, and base64 of more than 64 KiB, is read as a file in each dialect."""
    status, body = await client.post("/generate/sync", dialect(loading(text_of(data))))
    assert (status, width(body)) == (200, 40 if len(data) < 9999 else 200), body


@pytest.mark.parametrize("data", [png(), noise(200)], ids=["short", "long"])
@pytest.mark.parametrize("form", ["wrapped", "unpadded", "URL-safe", "escaped twice"])
async def test_base64_may_have_any_form(client: Client, data: bytes, form: str) -> None:
    """Base64 is accepted with line breaks, without padding, in the URL alphabet, and escaped twice."""
    data += b"\0" * (4 - len(data) % 3)  # so that there is padding to leave out
    text = {
        "wrapped": base64.encodebytes(data).decode().replace("\n", "\r\n"),
        "unpadded": text_of(data).rstrip("="),
        "URL-safe": base64.urlsafe_b64encode(data).decode(),
        "escaped twice": base64.encodebytes(data).decode().replace("\n", "\\n").replace("/", "\\/"),
    }[form]
    status, body = await client.post("/generate/sync", native(loading(text)))
    assert (status, width(body)) == (200, 40 if len(data) < 9999 else 200), body


@pytest.mark.parametrize("name", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
async def test_every_image_format_is_recognised(client: Client, name: str) -> None:
    """Base64 of each image format is recognised by its first bytes."""
    status, body = await client.post("/generate/sync", native(loading(text_of(saved(name)))))
    assert (status, width(body)) == (200, 40), body


async def test_two_nodes_get_their_own_images(client: Client) -> None:
    """Two nodes with different base64 get different files, and two nodes with the same base64 get one file."""
    workflow = loading(text_of(png(41)))
    workflow["3"] = {"class_type": "LoadImage", "inputs": {"image": text_of(png(42))}}
    workflow["4"] = {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "b"}}
    workflow["5"] = {"class_type": "LoadImageMask", "inputs": {"image": text_of(png(42)), "channel": "red"}}
    status, body = await client.post("/generate/sync", native(workflow))
    assert (status, [output["width"] for output in body["outputs"]]) == (200, [41, 42]), body


@pytest.mark.parametrize("data", [b"no file of any kind " * 30, b"no file of any kind " * 5000], ids=["short", "long"])
async def test_base64_of_something_else_is_refused(client: Client, data: bytes) -> None:
    """Base64 of an unknown format is refused with a message that says what to send."""
    status, body = await client.post("/generate/sync", native(loading(text_of(data))))
    assert (status, body["error"]["code"]) == (422, "file_not_allowed")
    assert "base64" in body["error"]["message"]
    assert "data:image/png;base64" in body["error"]["details"][0]["suggestion"]


@pytest.mark.parametrize("data", [noise(30), noise(200)], ids=["short", "long"])
async def test_damaged_base64_is_refused(client: Client, data: bytes) -> None:
    """Damaged base64 is refused with an error that names the node."""
    text = text_of(data)
    status, body = await client.post("/generate/sync", native(loading(text[:1000] + "?!" + text[1000:])))
    assert (status, body["error"]["code"]) in {(400, "invalid_input_file"), (422, "file_not_allowed")}
    assert "base64" in body["error"]["message"]


@pytest.mark.parametrize("data", [png(), noise(200)], ids=["short", "long"])
async def test_base64_in_a_text_input_is_text(client: Client, data: bytes) -> None:
    """A node with a text input gets base64 as it was sent."""
    text = text_of(data)
    workflow = picture() | {"7": {"class_type": "PrimitiveString", "inputs": {"value": text}}}
    workflow["8"] = {"class_type": "PreviewAny", "inputs": {"source": ["7", 0]}}
    status, body = await client.post("/generate/sync", native(workflow))
    assert status == 200, body
    assert [output["text"] for output in body["outputs"] if output["kind"] == "text"] == [text]


async def test_a_missing_file_of_the_mask_editor_is_named(client: Client) -> None:
    """The error for a missing file of the mask editor names the file to send."""
    status, body = await client.post("/generate/sync", native(loading("clipspace/clipspace-mask-7.png [input]")))
    assert (status, body["error"]["code"]) == (422, "file_not_allowed")
    assert "as 'clipspace/clipspace-mask-7.png'" in body["error"]["details"][0]["suggestion"]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\0\0\0\x18ftypmp42" + bytes(60), "video/mp4"),
        (b"\0\0\0\x14ftypqt  " + bytes(60), "video/quicktime"),
        (b"\x1a\x45\xdf\xa3" + bytes(60), "video/webm"),
        (b"OggS\0\2" + bytes(60), "audio/ogg"),
        (b"RIFF\0\0\0\0WAVEfmt " + bytes(60), "audio/wav"),
        (b"RIFF\0\0\0\0WEBPVP8 " + bytes(60), "image/webp"),
        (b"ID3\4\0\0" + bytes(60), "audio/mpeg"),
        (b"fLaC\0" + bytes(60), "audio/flac"),
        (b"glTF\2\0\0\0" + bytes(60), "model/gltf-binary"),
        (b"%PDF-1.7\n" + bytes(60), None),
        (b"PK\3\4" + bytes(60), None),
        (b"the quick brown fox " * 4, None),
    ],
)
async def test_a_file_is_recognised_by_its_first_bytes(head: bytes, kind: str | None) -> None:
    """base64_media_type returns the media type for any alphabet, with line breaks and without padding."""
    assert media_type(head) == kind
    text = text_of(head)
    for written in (text, text.rstrip("="), base64.urlsafe_b64encode(head).decode(), f"{text[:20]}\r\n{text[20:]}"):
        assert base64_media_type(written) == kind


@pytest.mark.parametrize(
    "name", ["photo.png", "a/b/c.png", "iVBORw0KGgo.png", "iVBORw0KGgo", "frames", "GIF89a", "", "ü" * 300, "x" * 64]
)
async def test_a_name_is_not_base64(name: str) -> None:
    """base64_media_type returns None for a file name."""
    assert base64_media_type(name) is None
    assert not looks_like_base64(name)


async def test_a_long_text_is_checked_quickly() -> None:
    """looks_like_base64 reads a text with many spaces only once."""
    assert not looks_like_base64(" " * 1_000_000 + "!")
    assert not looks_like_base64("\\" * 1_000_000 + "!")
