"""What is in a file is known before ComfyUI opens it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from tests.inputs.files import BOMBS, png
from worker.errors import InvalidInputFile
from worker.inputs.content import FORMATS, check_content, picture_pixels
from worker.inputs.places import Kind


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.PICTURE, b"<html>please log in</html>"),
        (Kind.PICTURE, b"\0\0\0\x18ftypmp42"),
        (Kind.PICTURE, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        (Kind.PICTURE, png()[:20]),
        (Kind.VIDEO, b'{"error": "expired"}'),
        (Kind.SOUND, "nicht gefunden: süß".encode() * 30),
        (Kind.SOUND, png()),
    ],
)
def test_what_the_node_wants_is_what_it_gets(kind: Kind, data: bytes, tmp_path: Path) -> None:
    """An error page, half a picture, a film for a picture, a picture for a sound; in memory and on disk alike."""
    path = tmp_path / "file"
    path.write_bytes(data)
    for file in (io.BytesIO(data), path):
        with pytest.raises(InvalidInputFile, match="the node wants"):
            check_content(file, {kind}, 89)
        check_content(file, (), 89)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Kind.PICTURE, png()),
        (Kind.VIDEO, b"\0\0\0\x18ftypmp42"),
        (Kind.VIDEO, BOMBS["frames"]),
        (Kind.SOUND, b"OggS\0\2"),
        (Kind.SOUND, b"ID3\4\0\0"),
    ],
)
def test_what_is_as_it_should_be_passes(kind: Kind, data: bytes) -> None:
    """The control; a film in a picture's format is a film."""
    check_content(io.BytesIO(data), {kind}, 1000)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_measured(name: str) -> None:
    """Each that a loader may open, by all of its frames."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, name)
    assert picture_pixels(buffer) == 32 * 32
    if name in {"PNG", "GIF", "WEBP", "TIFF", "AVIF"}:
        buffer = io.BytesIO()
        frames = [Image.new("RGB", (32, 32), color) for color in ("red", "green", "blue")]
        frames[0].save(buffer, name, save_all=True, append_images=frames[1:])
        assert picture_pixels(buffer) == 3 * 32 * 32


@pytest.mark.parametrize("damage", range(0, 60, 3))
def test_damaged_pictures_raise_nothing(damage: int) -> None:
    """Whatever a file does to Pillow, it is a picture or it isn't."""
    for whole in (png(), BOMBS["frames"], BOMBS["above the limit"]):
        broken = bytearray(whole)
        broken[damage : damage + 3] = b"\xff\xff\xff"
        picture_pixels(io.BytesIO(bytes(broken)))
