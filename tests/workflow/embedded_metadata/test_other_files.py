"""Tests of workflows in audio files, 3D files and other image formats."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from PIL import Image

from tests.workflow.embedded_metadata.test_embedded_workflow import PROMPT, WORKFLOW, png
from worker.errors import CannotConvert
from worker.workflow.embedded_metadata import extract_workflow, read_embedded_workflow

DATA = Path(__file__).parents[2] / "data"
RECORDED = {
    "carrier.mp3": "MP3",
    "carrier.flac": "FLAC",
    "carrier.opus": "Ogg",
    "carrier.m4a": "MP4",
    "carrier.avif": "AVIF",
}
"""A few milliseconds or pixels, written by the libraries that ComfyUI uses."""
TEXTS = {"prompt": json.dumps(PROMPT), "workflow": json.dumps(WORKFLOW)}


def jpeg() -> bytes:
    """Return a JPEG with prompt and workflow in its EXIF data."""
    picture = Image.new("RGB", (2, 2))
    exif = picture.getexif()
    exif[0x010F], exif[0x010E] = f"Prompt:{TEXTS['prompt']}", f"Workflow:{TEXTS['workflow']}"
    data = BytesIO()
    picture.save(data, "JPEG", exif=exif)
    return data.getvalue()


def jpeg_with_comment(text: bytes) -> bytes:
    """Return a JPEG with a user comment, which has its own EXIF directory."""
    picture = Image.new("RGB", (2, 2))
    exif = picture.getexif()
    exif[0x8769] = {0x9286: text}
    data = BytesIO()
    picture.save(data, "JPEG", exif=exif)
    return data.getvalue()


def glb(extras: Any = None) -> bytes:
    """Return a GLB file with these extras, by default prompt and workflow."""
    body = orjson.dumps({"asset": {"version": "2.0", "extras": TEXTS if extras is None else extras}})
    body += b" " * (-len(body) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(body), len(body), 0x4E4F534A) + body


def safetensors() -> bytes:
    """Return a safetensors file with prompt and workflow."""
    header = orjson.dumps({"__metadata__": TEXTS, "x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
    return struct.pack("<Q", len(header)) + header + bytes(4)


def svg() -> bytes:
    """Return an SVG with prompt and workflow."""
    both = json.dumps({"prompt": PROMPT, "workflow": WORKFLOW}, ensure_ascii=False)
    return f'<?xml version="1.0"?>\n<svg><metadata>\n<![CDATA[\n{both}\n]]>\n</metadata></svg>'.encode()


def id3(version: int, encoding: int, flags: int = 0) -> bytes:
    """Return an MP3 with an ID3 tag in one of the forms that writers use."""
    body = b""
    for name, text in TEXTS.items():
        if encoding == 1:
            content = b"\1" + f"\ufeff{name}\0\ufeff{text}".encode("utf-16-le")
        else:
            content = bytes([encoding]) + f"{name}\0{text}".encode("utf-8" if encoding == 3 else "latin-1") + b"\0"
        if version == 2:
            body += b"TXX" + len(content).to_bytes(3, "big") + content
        else:
            size = syncsafe(len(content)) if version == 4 else len(content).to_bytes(4, "big")
            body += b"TXXX" + size + b"\0\0" + content
    if flags & 0x80:
        body = body.replace(b"\xff", b"\xff\x00")
    return b"ID3" + bytes([version, 0, flags]) + syncsafe(len(body)) + body + b"\xff\xfb\x90\x00"


def syncsafe(number: int) -> bytes:
    """Return a number in four bytes of seven bits."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def ogg(head: bytes, long: str = "") -> bytes:
    """Return an Ogg file with a comment packet over several pages, between pages of another stream."""
    entries = [f"{name}={text}".encode() for name, text in {"pad": long, **TEXTS}.items()]
    packet = head + struct.pack("<I", 3) + b"lib" + struct.pack("<I", len(entries))
    packet += b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)
    pages = ogg_page(1, [b"first"], closed=True)
    for start in range(0, len(packet) + 1, 255 * 255):
        part = packet[start : start + 255 * 255]
        pages += ogg_page(2, [b"other"], closed=True) + ogg_page(1, [part], closed=len(part) < 255 * 255)
    return pages


def ogg_page(serial: int, parts: list[bytes], *, closed: bool) -> bytes:
    """Return one page of an Ogg file."""
    (part,) = parts
    lacing = bytes([255] * (len(part) // 255)) + (bytes([len(part) % 255]) if closed else b"")
    return struct.pack("<4sBBQIIIB", b"OggS", 0, 0, 0, serial, 0, 0, len(lacing)) + lacing + part


@pytest.mark.parametrize(("name", "kind"), RECORDED.items())
def test_recorded_files(name: str, kind: str) -> None:
    """read_embedded_workflow reads prompt and workflow from files of other libraries."""
    actual = read_embedded_workflow((DATA / name).read_bytes())
    assert actual is not None
    assert (actual.kind, actual.prompt, actual.workflow) == (kind, PROMPT, WORKFLOW)


@pytest.mark.parametrize(("kind", "make"), [("JPEG", jpeg), ("GLB", glb), ("safetensors", safetensors), ("SVG", svg)])
def test_other_formats(kind: str, make: Callable[[], bytes]) -> None:
    """read_embedded_workflow reads JPEG, GLB, safetensors and SVG."""
    actual = read_embedded_workflow(make())
    assert actual is not None
    assert (actual.kind, actual.prompt, actual.workflow) == (kind, PROMPT, WORKFLOW)


def test_objects_in_glb_extras() -> None:
    """read_embedded_workflow accepts objects in place of texts in the extras of a GLB."""
    actual = read_embedded_workflow(glb({"prompt": PROMPT, "workflow": WORKFLOW}))
    assert actual is not None
    assert (actual.prompt, actual.workflow) == (PROMPT, WORKFLOW)


@pytest.mark.parametrize(("version", "encoding", "flags"), [(2, 0, 0), (3, 1, 0), (3, 1, 0x80), (3, 0, 0), (4, 3, 0)])
def test_tags_of_an_mp3(version: int, encoding: int, flags: int) -> None:
    """extract_workflow reads the three versions of ID3 tags in all encodings."""
    assert extract_workflow(id3(version, encoding, flags)) == PROMPT


@pytest.mark.parametrize("head", [b"OpusTags", b"\x03vorbis", b"\x84\0\0\0"])
@pytest.mark.parametrize("length", [0, 70_000, 200_000])
def test_comments_of_an_ogg(head: bytes, length: int) -> None:
    """extract_workflow reads the comments of Opus, Vorbis and FLAC in Ogg, on one and several pages."""
    assert extract_workflow(ogg(head, "x" * length)) == PROMPT


@pytest.mark.parametrize(
    "data",
    [
        png(parameters="a cat\nSteps: 20, Sampler: Euler"),
        jpeg_with_comment(
            b"UNICODE\0" + "a cat\nSteps: 20".encode("utf-16-be" if b"Exif\0\0MM" in jpeg() else "utf-16-le")
        ),
        jpeg_with_comment(b"ASCII\0\0\0a cat\nSteps: 20"),
    ],
)
def test_parameters_of_automatic1111(data: bytes) -> None:
    """extract_workflow names AUTOMATIC1111 in the error for a file with only its parameters."""
    with pytest.raises(CannotConvert, match="AUTOMATIC1111"):
        extract_workflow(data)


@pytest.mark.parametrize("make", [lambda: glb([1]), lambda: glb("x"), lambda: b"glTF", lambda: b"<svg><metadata>"])
def test_files_without_a_workflow(make: Callable[[], bytes]) -> None:
    """extract_workflow raises CannotConvert with the format for files without a workflow."""
    with pytest.raises(CannotConvert, match="has no workflow"):
        extract_workflow(make())


def test_damaged_files_raise_nothing() -> None:
    """read_embedded_workflow raises nothing for truncated and corrupted files."""
    made = [jpeg(), glb(), safetensors(), svg(), id3(3, 1, 0x80), id3(4, 3), ogg(b"OpusTags", "x" * 70_000)]
    whole = [*made, *((DATA / name).read_bytes() for name in RECORDED)]
    rng, read = Random(1), 0
    for _ in range(4000):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(8, min(len(data), 2000))] = rng.randrange(256)
        actual = read_embedded_workflow(bytes(data[: rng.randrange(8, len(data) * 2)]))
        read += actual is not None and actual.best is not None
    assert 0 < read < 4000
