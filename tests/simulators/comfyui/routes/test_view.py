"""Downloads by GET /view: names, folders, ranges, previews."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.simulators.comfyui.client import EngineClient


@pytest.fixture
def files(client: EngineClient) -> Path:
    """Write an image with alpha, texts, an SVG and a file in a subfolder to output, and one image to input."""
    output = client.base / "output"
    Image.new("RGBA", (16, 16), (200, 10, 10, 128)).save(output / "v.png")
    (output / "x.txt").write_text("text")
    (output / "x.svg").write_text("<svg/>")
    (output / 'q"x.txt').write_text("q")
    (output / "sub").mkdir()
    Image.new("RGB", (4, 4)).save(output / "sub" / "ü.png")
    Image.new("RGB", (4, 4)).save(client.base / "input" / "in.png")
    return output


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 404),
        ("filename=", 400),
        ("filename=nope.png", 404),
        ("filename=v.png", 200),
        ("filename=v.png&type=bogus", 400),
        ("filename=v.png&type=", 400),
        ("filename=v.png&type=temp", 404),
        ("filename=in.png%20[input]", 200),
        ("filename=in.png[input]", 404),
        ("filename=%C3%BC.png&subfolder=sub", 200),
        ("filename=sub/%C3%BC.png", 404),
        ("filename=sub", 404),
        ("filename=../v.png", 400),
        ("filename=a..b.png", 400),
        ("filename=/etc/passwd", 400),
        ("filename=v.png&subfolder=..", 403),
        ("filename=v.png&subfolder=/etc", 403),
        ("filename=a%00b.png", 404),
        ("filename=blake3:00", 404),
        ("filename=x.txt&preview=webp", 500),
        ("filename=x.txt&channel=rgb", 500),
        ("filename=v.png&filename=nope.png", 200),
    ],
)
async def test_statuses_of_view(client: EngineClient, files: Path, query: str, status: int) -> None:
    """GET /view returns the status of ComfyUI for each way to name a file."""
    assert files.is_dir()
    assert await client.status("GET", f"/view?{query}") == status


async def test_plain_files_come_with_ranges_and_conditions(client: EngineClient, files: Path) -> None:
    """GET /view supports ranges and conditional requests, and escapes quotes in file names."""
    length = (files / "v.png").stat().st_size
    async with client.http.get("/view?filename=v.png") as answer:
        assert answer.headers["Content-Disposition"] == 'filename="v.png"'
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        etag = answer.headers["ETag"]
    async with client.http.get("/view?filename=v.png", headers={"Range": "bytes=-5"}) as answer:
        assert answer.status == 206
        assert answer.headers["Content-Range"] == f"bytes {length - 5}-{length - 1}/{length}"
    assert await client.status("GET", "/view?filename=v.png", headers={"If-None-Match": etag}) == 304
    assert await client.status("GET", "/view?filename=v.png", headers={"Range": "bytes=9999-"}) == 416
    async with client.http.get("/view?filename=q%22x.txt") as answer:
        assert answer.headers["Content-Disposition"] == 'filename="q\\"x.txt"'


async def test_dangerous_files_are_downloads(client: EngineClient, files: Path) -> None:
    """An SVG file is sent as a download, unless a page fetches it as an image."""
    assert files.is_dir()
    async with client.http.get("/view?filename=x.svg") as answer:
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="x.svg"'
    async with client.http.get("/view?filename=x.svg", headers={"Sec-Fetch-Dest": "image"}) as answer:
        assert answer.headers["Content-Type"] == "image/svg+xml"


@pytest.mark.parametrize(
    ("query", "form", "mode"),
    [
        ("preview=webp;50", "WEBP", "RGBA"),
        ("preview=jpeg", "JPEG", "RGB"),
        ("preview=png", "WEBP", "RGBA"),
        ("preview=jpeg;70&channel=rgba", "WEBP", "RGBA"),
        ("channel=rgb", "PNG", "RGB"),
        ("channel=a", "PNG", "RGBA"),
        ("channel=bogus", "PNG", "RGBA"),
    ],
)
async def test_encoded_previews_and_channels(
    client: EngineClient, files: Path, query: str, form: str, mode: str
) -> None:
    """A preview is WebP unless JPEG without alpha is requested. A channel is PNG."""
    assert files.is_dir()
    async with client.http.get(f"/view?filename=v.png&{query}") as answer:
        assert answer.status == 200
        image = Image.open(BytesIO(await answer.read()))
    assert (image.format, image.mode) == (form, mode)


async def test_listing_of_files(client: EngineClient, files: Path) -> None:
    """GET /internal/files lists the files at the top of a folder."""
    assert files.is_dir()
    assert await client.get("/internal/files/input") == ["in.png [input]"]
    assert await client.status("GET", "/internal/files/bogus") == 400
