"""The content of a file is checked before ComfyUI opens it."""

from __future__ import annotations

import io
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from tests.inputs.files import BOMBS, png
from worker.errors import InvalidInputFile
from worker.inputs.content.check import check_content, image_pixels
from worker.inputs.content.image_types import FORMATS
from worker.inputs.file_inputs import FileKind


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (FileKind.IMAGE, b"<html>please log in</html>"),
        (FileKind.IMAGE, b"\0\0\0\x18ftypmp42"),
        (FileKind.IMAGE, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"),
        (FileKind.IMAGE, png()[:20]),
        (FileKind.VIDEO, b'{"error": "expired"}'),
        (FileKind.AUDIO, "nicht gefunden: süß".encode() * 30),
        (FileKind.AUDIO, png()),
    ],
)
def test_a_file_of_the_wrong_kind_is_refused(kind: FileKind, data: bytes, tmp_path: Path) -> None:
    """check_content refuses error pages, damaged images and other kinds of files, in memory and on disk."""
    path = tmp_path / "file"
    path.write_bytes(data)
    for file in (io.BytesIO(data), path):
        with pytest.raises(InvalidInputFile, match="the node needs"):
            check_content(file, {kind}, 89)
        check_content(file, (), 89)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\xff\x0a\xfa\x7f\x01", "JPEG XL"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"8BPS\0\1", "Photoshop"),
        (b"%PDF-1.7", "PDF"),
    ],
)
def test_a_format_that_pillow_lacks_is_named(data: bytes, name: str) -> None:
    """check_content names the unsupported format and the supported ones."""
    with pytest.raises(InvalidInputFile, match=rf"cannot open {name} files: send PNG, JPEG.* or TGA"):
        check_content(io.BytesIO(data), {FileKind.IMAGE}, 89)


def test_a_damaged_image_of_a_known_format_is_named() -> None:
    """check_content reports a truncated image as damaged, not as an unknown format."""
    with pytest.raises(InvalidInputFile, match=r"this PNG file cannot be read.*incomplete"):
        check_content(io.BytesIO(png()[:20]), {FileKind.IMAGE}, 89)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (FileKind.IMAGE, png()),
        (FileKind.VIDEO, b"\0\0\0\x18ftypmp42"),
        (FileKind.VIDEO, BOMBS["frames"]),
        (FileKind.AUDIO, b"OggS\0\2"),
        (FileKind.AUDIO, b"ID3\4\0\0"),
    ],
)
def test_a_file_of_the_right_kind_passes(kind: FileKind, data: bytes) -> None:
    """check_content accepts files of the right kind, and a video in an image format for a video input."""
    check_content(io.BytesIO(data), {kind}, 1000)


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_measured(name: str) -> None:
    """image_pixels returns the pixels of all frames for each format that a loader may open."""
    buffer = io.BytesIO()
    Image.new("RGB", (32, 32)).save(buffer, name)
    assert image_pixels(buffer) == 32 * 32
    if name in {"PNG", "GIF", "WEBP", "TIFF", "AVIF"}:
        buffer = io.BytesIO()
        frames = [Image.new("RGB", (32, 32), color) for color in ("red", "green", "blue")]
        frames[0].save(buffer, name, save_all=True, append_images=frames[1:])
        assert image_pixels(buffer) == 3 * 32 * 32


@pytest.mark.parametrize("damage", range(0, 60, 3))
def test_damaged_images_raise_no_other_error(damage: int) -> None:
    """image_pixels returns a number or None for damaged bytes of each format."""
    for whole in (png(), BOMBS["frames"], BOMBS["above the limit"]):
        broken = bytearray(whole)
        broken[damage : damage + 3] = b"\xff\xff\xff"
        image_pixels(io.BytesIO(bytes(broken)))


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


PNG_HEAD = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0))
GIF_HEAD = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"
ENDLESS = {
    "blanks in a PPM": b"P6" + b" " * 1_000_000 + b"1 1 255\n\0\0\0",
    "texts in a PNG": PNG_HEAD + chunk(b"tEXt", b"a\0b") * 60_000,
    "unknown chunks in a PNG": PNG_HEAD + chunk(b"abCd", b"ab") * 60_000,
    "comments in a GIF": GIF_HEAD + b"\x21\xfe\x01a\0" * 200_000 + b";",
    "fillers in a JPEG": b"\xff\xd8" + b"\xff" * 1_000_000,
}


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in ENDLESS.items()])
def test_endless_headers_are_refused(data: bytes, tmp_path: Path) -> None:
    """check_content refuses an image with too many headers, on disk and in memory."""
    (tmp_path / "file").write_bytes(data)
    for file in (BytesIO(data), tmp_path / "file"):
        with pytest.raises(InvalidInputFile, match="too many comments and headers"):
            check_content(file, {FileKind.IMAGE}, 89)


def test_images_with_many_chunks_are_read() -> None:
    """check_content accepts a long GIF and an image with a thousand texts."""
    frames = [Image.effect_noise((200, 200), 80 + number) for number in range(40)]
    data = BytesIO()
    frames[0].save(data, "GIF", save_all=True, append_images=frames[1:])
    check_content(BytesIO(data.getvalue()), {FileKind.IMAGE}, 89)
    check_content(BytesIO(PNG_HEAD + chunk(b"tEXt", b"a\0b") * 1000 + chunk(b"IDAT", b"")), {FileKind.IMAGE}, 89)
