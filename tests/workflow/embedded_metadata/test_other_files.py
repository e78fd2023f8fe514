"""Sounds, 3D files and further pictures that carry a workflow, as ComfyUI and node packs write them."""

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
    picture = Image.new("RGB", (2, 2))
    exif = picture.getexif()
    exif[0x010F], exif[0x010E] = f"Prompt:{TEXTS['prompt']}", f"Workflow:{TEXTS['workflow']}"
    data = BytesIO()
    picture.save(data, "JPEG", exif=exif)
    return data.getvalue()


def commented(text: bytes) -> bytes:
    """A JPEG with a user's comment, which is in an EXIF directory of its own."""
    picture = Image.new("RGB", (2, 2))
    exif = picture.getexif()
    exif[0x8769] = {0x9286: text}
    data = BytesIO()
    picture.save(data, "JPEG", exif=exif)
    return data.getvalue()


def glb(extras: Any = None) -> bytes:
    body = orjson.dumps({"asset": {"version": "2.0", "extras": TEXTS if extras is None else extras}})
    body += b" " * (-len(body) % 4)
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(body), len(body), 0x4E4F534A) + body


def safetensors() -> bytes:
    header = orjson.dumps({"__metadata__": TEXTS, "x": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}})
    return struct.pack("<Q", len(header)) + header + bytes(4)


def svg() -> bytes:
    both = json.dumps({"prompt": PROMPT, "workflow": WORKFLOW}, ensure_ascii=False)
    return f'<?xml version="1.0"?>\n<svg><metadata>\n<![CDATA[\n{both}\n]]>\n</metadata></svg>'.encode()


def id3(version: int, encoding: int, flags: int = 0) -> bytes:
    """A tag of texts of the user's, in one of the forms that writers of MP3 use."""
    body = b""
    for name, text in TEXTS.items():
        if encoding == 1:
            content = b"\1" + f"\ufeff{name}\0\ufeff{text}".encode("utf-16-le")
        else:
            content = bytes([encoding]) + f"{name}\0{text}".encode("utf-8" if encoding == 3 else "latin-1") + b"\0"
        if version == 2:
            body += b"TXX" + len(content).to_bytes(3, "big") + content
        else:
            size = seven(len(content)) if version == 4 else len(content).to_bytes(4, "big")
            body += b"TXXX" + size + b"\0\0" + content
    if flags & 0x80:
        body = body.replace(b"\xff", b"\xff\x00")
    return b"ID3" + bytes([version, 0, flags]) + seven(len(body)) + body + b"\xff\xfb\x90\x00"


def seven(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def vorbis(head: bytes, long: str = "") -> bytes:
    """A comment packet over as many pages as it needs, with a page of another stream in between."""
    entries = [f"{name}={text}".encode() for name, text in {"pad": long, **TEXTS}.items()]
    packet = head + struct.pack("<I", 3) + b"lib" + struct.pack("<I", len(entries))
    packet += b"".join(struct.pack("<I", len(entry)) + entry for entry in entries)
    pages = page(1, [b"first"], closed=True)
    for start in range(0, len(packet) + 1, 255 * 255):
        part = packet[start : start + 255 * 255]
        pages += page(2, [b"other"], closed=True) + page(1, [part], closed=len(part) < 255 * 255)
    return pages


def page(serial: int, parts: list[bytes], *, closed: bool) -> bytes:
    (part,) = parts
    lacing = bytes([255] * (len(part) // 255)) + (bytes([len(part) % 255]) if closed else b"")
    return struct.pack("<4sBBQIIIB", b"OggS", 0, 0, 0, serial, 0, 0, len(lacing)) + lacing + part


@pytest.mark.parametrize(("name", "kind"), RECORDED.items())
def test_recorded_files(name: str, kind: str) -> None:
    """Each gives the prompt and the workflow that were written into it."""
    found = read_embedded_workflow((DATA / name).read_bytes())
    assert found is not None
    assert (found.kind, found.prompt, found.workflow) == (kind, PROMPT, WORKFLOW)


@pytest.mark.parametrize(("kind", "make"), [("JPEG", jpeg), ("GLB", glb), ("safetensors", safetensors), ("SVG", svg)])
def test_other_kinds(kind: str, make: Callable[[], bytes]) -> None:
    """In the fields of the EXIF, in the asset's extras, and in the metadata."""
    found = read_embedded_workflow(make())
    assert found is not None
    assert (found.kind, found.prompt, found.workflow) == (kind, PROMPT, WORKFLOW)


def test_values_instead_of_texts() -> None:
    """Some writers put the objects themselves into the extras."""
    found = read_embedded_workflow(glb({"prompt": PROMPT, "workflow": WORKFLOW}))
    assert found is not None
    assert (found.prompt, found.workflow) == (PROMPT, WORKFLOW)


@pytest.mark.parametrize(("version", "encoding", "flags"), [(2, 0, 0), (3, 1, 0), (3, 1, 0x80), (3, 0, 0), (4, 3, 0)])
def test_tags_of_an_mp3(version: int, encoding: int, flags: int) -> None:
    """In the three versions, in Latin-1, UTF-16 and UTF-8, and with the bytes that keep players in step."""
    assert extract_workflow(id3(version, encoding, flags)) == PROMPT


@pytest.mark.parametrize("head", [b"OpusTags", b"\x03vorbis", b"\x84\0\0\0"])
@pytest.mark.parametrize("length", [0, 70_000, 200_000])
def test_comments_of_an_ogg(head: bytes, length: int) -> None:
    """Of Opus, Vorbis and FLAC, on one page and over several."""
    assert extract_workflow(vorbis(head, "x" * length)) == PROMPT


@pytest.mark.parametrize(
    "data",
    [
        png(parameters="a cat\nSteps: 20, Sampler: Euler"),
        commented(b"UNICODE\0" + "a cat\nSteps: 20".encode("utf-16-be" if b"Exif\0\0MM" in jpeg() else "utf-16-le")),
        commented(b"ASCII\0\0\0a cat\nSteps: 20"),
    ],
)
def test_parameters_of_another_program(data: bytes) -> None:
    """They are named: they are no workflow."""
    with pytest.raises(CannotConvert, match="AUTOMATIC1111"):
        extract_workflow(data)


@pytest.mark.parametrize("make", [lambda: glb([1]), lambda: glb("x"), lambda: b"glTF", lambda: b"<svg><metadata>"])
def test_what_carries_nothing(make: Callable[[], bytes]) -> None:
    """Is refused with its kind."""
    with pytest.raises(CannotConvert, match="has no workflow"):
        extract_workflow(make())


def test_spoiled_files() -> None:
    """Cut or spoiled, none makes the reading fall over."""
    made = [jpeg(), glb(), safetensors(), svg(), id3(3, 1, 0x80), id3(4, 3), vorbis(b"OpusTags", "x" * 70_000)]
    whole = [*made, *((DATA / name).read_bytes() for name in RECORDED)]
    rng, read = Random(1), 0
    for _ in range(4000):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(8, min(len(data), 2000))] = rng.randrange(256)
        found = read_embedded_workflow(bytes(data[: rng.randrange(8, len(data) * 2)]))
        read += found is not None and found.best is not None
    assert 0 < read < 4000
