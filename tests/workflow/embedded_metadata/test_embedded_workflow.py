"""Tests of workflows in PNG, WebP and video files."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from worker.errors import CannotConvert
from worker.workflow.embedded_metadata import extract_workflow, read_embedded_workflow

PROMPT = {"1": {"class_type": "EmptyImage", "inputs": {"width": 16}, "_meta": {"title": "日"}}}
WORKFLOW = {"nodes": [{"id": 1, "type": "EmptyImage"}], "links": [], "version": 0.4}
DATA = Path(__file__).parents[2] / "data"
VIDEOS = ("carrier.mp4", "carrier-comment.mp4", "carrier.webm")
"""One frame each, written by the library that ComfyUI uses, the way its SaveVideo and SaveWEBM and a pack do."""


def png(*, zipped: bool = False, international: bool = False, **texts: str) -> bytes:
    """Return a PNG with these texts."""
    info = PngInfo()
    for name, text in texts.items():
        (info.add_itxt if international else info.add_text)(name, text, zip=zipped)
    data = BytesIO()
    Image.new("RGB", (2, 2)).save(data, "PNG", pnginfo=info)
    return data.getvalue()


def webp(*, animated: bool = False) -> bytes:
    """Return a WebP with prompt and workflow in its EXIF data."""
    picture = Image.new("RGB", (4, 4))
    exif = picture.getexif()
    exif[0x0110], exif[0x010F] = f"prompt:{json.dumps(PROMPT)}", f"workflow:{json.dumps(WORKFLOW)}"
    data = BytesIO()
    more = {"save_all": True, "append_images": [Image.new("RGB", (4, 4), "red")]} if animated else {}
    picture.save(data, "WEBP", exif=exif, **more)
    return data.getvalue()


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("international", [False, True])
def test_texts_of_a_png(zipped: bool, international: bool) -> None:
    """read_embedded_workflow reads plain and compressed texts of both kinds of PNG chunks."""
    texts = {"prompt": json.dumps(PROMPT), "workflow": json.dumps(WORKFLOW)}
    actual = read_embedded_workflow(png(zipped=zipped, international=international, **texts))
    assert actual is not None
    assert (actual.kind, actual.prompt, actual.workflow) == ("PNG", PROMPT, WORKFLOW)


def test_the_chunk_of_an_animated_png() -> None:
    """read_embedded_workflow reads ComfyUI's own chunk of animated PNGs."""
    plain = png()
    body = b"comf" + b"prompt\0" + json.dumps(PROMPT).encode()
    chunk = (len(body) - 4).to_bytes(4, "big") + body + bytes(4)
    actual = read_embedded_workflow(plain[:-12] + chunk + plain[-12:])
    assert actual is not None
    assert actual.prompt == PROMPT


@pytest.mark.parametrize("animated", [False, True])
def test_texts_of_a_webp(animated: bool) -> None:
    """read_embedded_workflow reads the EXIF fields of a still and an animated WebP."""
    actual = read_embedded_workflow(webp(animated=animated))
    assert actual is not None
    assert (actual.kind, actual.prompt, actual.workflow) == ("WebP", PROMPT, WORKFLOW)


@pytest.mark.parametrize("name", VIDEOS)
def test_texts_of_a_video(name: str) -> None:
    """read_embedded_workflow reads the metadata of a video, by name or in one comment."""
    actual = read_embedded_workflow((DATA / name).read_bytes())
    assert actual is not None
    assert isinstance(actual.prompt, dict)
    assert isinstance(actual.workflow, dict)
    assert actual.prompt["1"]["_meta"] == {"title": "日"}
    assert actual.workflow["nodes"] == [{"id": 1, "type": "EmptyImage"}]


def test_the_prompt_is_preferred() -> None:
    """extract_workflow returns the prompt before the workflow, with null for NaN."""
    text = json.dumps({"1": {"class_type": "X", "inputs": {"a": float("nan")}}})
    assert extract_workflow(png(prompt=text, workflow=json.dumps(WORKFLOW))) == {
        "1": {"class_type": "X", "inputs": {"a": None}}
    }
    assert extract_workflow(png(workflow=json.dumps(WORKFLOW))) == WORKFLOW


@pytest.mark.parametrize("wrapped", [{"prompt": PROMPT}, {"workflow": WORKFLOW, "prompt": PROMPT}, PROMPT])
def test_exports_are_unwrapped(wrapped: object) -> None:
    """extract_workflow unwraps every form of export."""
    assert extract_workflow(json.dumps(wrapped).encode()) == PROMPT
    assert extract_workflow(json.dumps({"workflow": WORKFLOW}).encode()) == WORKFLOW


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", png(), png(prompt="{"), b"\x1aE\xdf\xa3", b"RIFF0000WEBP"])
def test_files_without_a_workflow(data: bytes) -> None:
    """extract_workflow raises CannotConvert for files without a workflow."""
    with pytest.raises(CannotConvert):
        extract_workflow(data)


def test_damaged_files_raise_nothing() -> None:
    """read_embedded_workflow raises nothing for truncated and corrupted files."""
    whole = [png(prompt=json.dumps(PROMPT), zipped=True), webp(), *((DATA / name).read_bytes() for name in VIDEOS)]
    rng, read = Random(0), 0
    for _ in range(3000):
        data = bytearray(rng.choice(whole))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(8, len(data))] = rng.randrange(256)
        actual = read_embedded_workflow(bytes(data[: rng.randrange(8, len(data) * 2)]))
        read += actual is not None and actual.best is not None
    assert 0 < read < 3000
