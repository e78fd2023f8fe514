"""Uploads: names, folders, masks."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.simulators.comfyui.client import EngineClient, picture


async def upload(
    client: EngineClient, content: bytes, name: str, path: str = "image", **fields: str
) -> tuple[int, Any]:
    """Upload one file, with its name sent unchanged."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("image", content, filename=name, content_type="image/png")
    for key, value in fields.items():
        form.add_field(key, value)
    return await client.post(f"/upload/{path}", data=form)


async def test_used_names_get_a_number(client: EngineClient) -> None:
    """A file with a used name is stored as `name (1).ext`, unless its content is equal or `overwrite` is set."""
    names = []
    for content, fields in [
        (b"a", {}),
        (b"a", {}),
        (b"b", {}),
        (b"b", {}),
        (b"c", {"overwrite": "True"}),
        (b"c", {"overwrite": "true"}),
    ]:
        status, answer = await upload(client, content, "up.png", **fields)
        assert status == 200
        names.append(answer["name"])
    assert names == ["up.png", "up.png", "up (1).png", "up (1).png", "up (2).png", "up.png"]
    assert (client.base / "input" / "up.png").read_bytes() == b"c"


@pytest.mark.parametrize(
    ("name", "fields", "status"),
    [
        ("u.png", {"subfolder": "a/b"}, 200),
        ("u.png", {"subfolder": "x/../y"}, 200),
        ("u.png", {"subfolder": ".."}, 400),
        ("u.png", {"subfolder": "/etc"}, 400),
        ("../u.png", {}, 400),
        ("new/u.png", {}, 500),
        ("u.png", {"type": "temp"}, 200),
        ("u.png", {"type": "bogus"}, 500),
        ("é ñ.png", {}, 200),
    ],
)
async def test_upload_paths(client: EngineClient, name: str, fields: dict[str, str], status: int) -> None:
    """An upload is stored in its subfolder. A path that leads out of the folder is rejected."""
    got, answer = await upload(client, b"x", name, **fields)
    assert got == status
    if status == 200:
        expected = {"name": name, "subfolder": fields.get("subfolder", ""), "type": fields.get("type", "input")}
        assert answer == expected


async def test_forms_without_a_file_are_rejected(client: EngineClient) -> None:
    """A form without the field `image` gets 400."""
    assert await client.status("POST", "/upload/image", data={"type": "input"}) == 400
    assert await client.status("POST", "/upload/image", json={"image": "x"}) == 400


async def test_overwritten_upload_is_loaded_again(client: EngineClient) -> None:
    """LoadImage runs again after its file was overwritten."""
    graph = picture()
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "sub/pic.png"}}
    for color in ("red", "blue"):
        body = BytesIO()
        Image.new("RGB", (8, 8), color).save(body, format="PNG")
        await upload(client, body.getvalue(), "pic.png", subfolder="sub", overwrite="1")
        file = (await client.run(graph))["outputs"]["2"]["images"][0]
        with Image.open(client.base / "output" / file["filename"]) as image:
            assert image.getpixel((0, 0)) == Image.new("RGB", (1, 1), color).getpixel((0, 0))


async def test_damaged_image_fails_in_the_node(client: EngineClient) -> None:
    """A damaged image passes upload and validation, and fails in LoadImage."""
    await upload(client, b"no picture", "bad.png")
    graph = picture()
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "bad.png"}}
    error = (await client.run(graph))["status"]["messages"][-1][1]
    assert (error["node_id"], error["node_type"]) == ("1", "LoadImage")


async def test_mask_upload_keeps_the_colours_of_the_original(client: EngineClient) -> None:
    """POST /upload/mask joins the original's colours and the upload's alpha. A missing original writes no file."""
    Image.new("RGB", (8, 8), "red").save(client.base / "output" / "orig.png")
    body = BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 77)).save(body, format="PNG")
    reference = json.dumps({"filename": "orig.png"})
    assert (await upload(client, body.getvalue(), "m.png", "mask", original_ref=reference))[0] == 200
    with Image.open(client.base / "input" / "m.png") as merged:
        assert merged.getpixel((0, 0)) == (255, 0, 0, 77)
    missing = json.dumps({"filename": "none.png"})
    assert (await upload(client, body.getvalue(), "n.png", "mask", original_ref=missing))[0] == 200
    assert not (client.base / "input" / "n.png").exists()
    assert (await upload(client, body.getvalue(), "o.png", "mask"))[0] == 500
