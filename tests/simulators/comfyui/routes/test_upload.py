"""Files in: names, folders, masks."""

from __future__ import annotations

import json
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from PIL import Image

from tests.simulators.comfyui.client import Client, picture


async def upload(client: Client, content: bytes, name: str, path: str = "image", **fields: str) -> tuple[int, Any]:
    """Post one file with its name as it is."""
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("image", content, filename=name, content_type="image/png")
    for key, value in fields.items():
        form.add_field(key, value)
    return await client.post(f"/upload/{path}", data=form)


async def test_taken_names_get_a_number_unless_the_content_is_the_same(client: Client) -> None:
    """`name (1).ext`, reused for equal bytes; `overwrite` only by `true` and `1`."""
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
async def test_where_uploads_may_go(client: Client, name: str, fields: dict[str, str], status: int) -> None:
    """The subfolder is made and echoed as it was sent; what leaves the folder is refused."""
    got, answer = await upload(client, b"x", name, **fields)
    assert got == status
    if status == 200:
        expected = {"name": name, "subfolder": fields.get("subfolder", ""), "type": fields.get("type", "input")}
        assert answer == expected


async def test_forms_without_a_file_are_refused(client: Client) -> None:
    """No field, another field and a JSON body are 400."""
    assert await client.status("POST", "/upload/image", data={"type": "input"}) == 400
    assert await client.status("POST", "/upload/image", json={"image": "x"}) == 400


async def test_uploaded_picture_is_loaded_and_a_new_one_is_noticed(client: Client) -> None:
    """LoadImage reads names with folders; overwritten content makes the node run again."""
    graph = picture()
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "sub/pic.png"}}
    for color in ("red", "blue"):
        body = BytesIO()
        Image.new("RGB", (8, 8), color).save(body, format="PNG")
        await upload(client, body.getvalue(), "pic.png", subfolder="sub", overwrite="1")
        file = (await client.run(graph))["outputs"]["2"]["images"][0]
        with Image.open(client.base / "output" / file["filename"]) as image:
            assert image.getpixel((0, 0)) == Image.new("RGB", (1, 1), color).getpixel((0, 0))


async def test_unreadable_picture_fails_in_the_node(client: Client) -> None:
    """A corrupt file is accepted as an upload and by the validation, and fails when it is read."""
    await upload(client, b"no picture", "bad.png")
    graph = picture()
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "bad.png"}}
    error = (await client.run(graph))["status"]["messages"][-1][1]
    assert (error["node_id"], error["node_type"]) == ("1", "LoadImage")


async def test_mask_takes_colours_of_the_original(client: Client) -> None:
    """Colours and texts of the original, alpha of the upload; without an original 200 and no file."""
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
