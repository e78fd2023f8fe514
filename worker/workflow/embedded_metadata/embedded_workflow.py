"""What a file of ComfyUI's carries: the prompt that made it, and the workflow it was queued from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import orjson

from worker.bodies import BodyLimits, check_depth, invalid_json_error, utf8_text
from worker.bodies.limits import parse_units
from worker.errors import CannotConvert, InvalidJson
from worker.workflow.embedded_metadata.audio import flac_texts, mp3_texts, ogg_texts
from worker.workflow.embedded_metadata.avif import avif_texts, is_avif
from worker.workflow.embedded_metadata.jpeg import jpeg_texts
from worker.workflow.embedded_metadata.json_containers import (
    glb_texts,
    is_safetensors,
    is_svg,
    safetensors_texts,
    svg_texts,
)
from worker.workflow.embedded_metadata.matroska import matroska_texts
from worker.workflow.embedded_metadata.mp4 import mp4_texts
from worker.workflow.embedded_metadata.png import png_texts
from worker.workflow.embedded_metadata.webp import webp_texts
from worker.workflow.exports import exported_workflow
from worker.workflow.json_value import Json
from worker.workflow.prompt import unwrap

Texts = Iterator[tuple[str, str]]
_KINDS: tuple[tuple[str, int, bytes, Callable[[bytes], Texts]], ...] = (
    ("PNG", 0, b"\x89PNG\r\n\x1a\n", png_texts),
    ("WebP", 8, b"WEBP", webp_texts),
    ("JPEG", 0, b"\xff\xd8\xff", jpeg_texts),
    ("MP4", 4, b"ftyp", mp4_texts),
    ("WebM", 0, b"\x1aE\xdf\xa3", matroska_texts),
    ("MP3", 0, b"ID3", mp3_texts),
    ("MP3", 0, b"\xff\xfb", mp3_texts),
    ("FLAC", 0, b"fLaC", flac_texts),
    ("Ogg", 0, b"OggS", ogg_texts),
    ("GLB", 0, b"glTF", glb_texts),
)
_BY_LOOKS: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], Texts]], ...] = (
    ("AVIF", is_avif, avif_texts),
    ("safetensors", is_safetensors, safetensors_texts),
    ("SVG", is_svg, svg_texts),
)
_A1111, _STEPS = "parameters", "\nSteps: "
_MOST_UNITS = BodyLimits(total=0).units
_WHOLE = ("comment", "description")
"""Where some node packs write one object with both."""


@dataclass(frozen=True, slots=True)
class EmbeddedWorkflow:
    """`kind` is the file's; what is not in it, or is no JSON, is None."""

    kind: str
    prompt: Json = None
    workflow: Json = None
    a1111: bool = False
    """Whether it carries the text that AUTOMATIC1111 writes."""

    @property
    def best(self) -> Json:
        """The prompt where there is one: it has run."""
        return self.prompt if isinstance(self.prompt, dict) and self.prompt else self.workflow


def read_embedded_workflow(data: bytes) -> EmbeddedWorkflow | None:
    """Read a picture, video, sound or 3D file, safetensors or a latent; None for anything else.

    Never raises, however broken it is.
    """
    for kind, looks_so, texts in _BY_LOOKS:
        if looks_so(data):
            return _carried(kind, texts(data))
    for kind, place, magic, texts in _KINDS:
        if data[place : place + len(magic)] == magic:
            return _carried(kind, texts(data))
    return None


def extract_workflow(data: bytes, charset: str = "") -> Json:
    """The workflow in a file: JSON, wrapped or not, or what a picture, a video, a sound or a model carries.

    JSON may be the body of a request in any dialect, in any encoding that requests may have; `charset` is a declared
    one. Raises CannotConvert.
    """
    try:
        found = read_workflow_file(data, charset)
        check_depth(found, "the workflow")
        return cast("Json", unwrap(exported_workflow(found)))
    except InvalidJson as error:
        raise CannotConvert(error.message) from None


def read_workflow_file(data: bytes, charset: str = "") -> Json:
    """Return the whole JSON of a workflow file, or the workflow that a file of another kind carries.

    Raises CannotConvert.
    """
    carried = read_embedded_workflow(data)
    if carried is not None:
        if not isinstance(carried.best, dict) and carried.a1111:
            raise CannotConvert(
                f"this {carried.kind} carries only the parameters of AUTOMATIC1111: they are a text, and no workflow"
            )
        if not isinstance(carried.best, dict):
            raise CannotConvert(f"this {carried.kind} carries no workflow: it is not ComfyUI's, or was stripped")
        return carried.best
    try:
        json = utf8_text(data, charset)
    except InvalidJson as error:
        raise CannotConvert(error.message) from None
    try:
        return cast("Json", orjson.loads(json))
    except orjson.JSONDecodeError as error:
        value = parse(json.decode("utf-8", "replace"))
        if value is None:
            raise _not_a_workflow(json, error) from None
        return value


def _not_a_workflow(json: bytes, error: orjson.JSONDecodeError) -> CannotConvert:
    """Return the place of the error in what begins like JSON; another file is something else."""
    if json.lstrip()[:1] in (b"{", b"["):
        return CannotConvert(invalid_json_error(json, error, "the workflow").message)
    return CannotConvert("this is neither JSON nor a file that can carry a workflow")


def _carried(kind: str, texts: Texts) -> EmbeddedWorkflow:
    found: dict[str, Json] = {}
    a1111 = False
    for name, text in texts:
        key = name.lower()
        a1111 = a1111 or key == _A1111 or (key in _WHOLE and _STEPS in text)
        if key in ("prompt", "workflow"):
            found.setdefault(key, parse(text))
        elif key in _WHOLE and text.lstrip().startswith("{"):
            whole = parse(text)
            inner = whole if isinstance(whole, dict) else {}
            for part in ("prompt", "workflow"):
                value = inner.get(part)
                found.setdefault(part, parse(value) if isinstance(value, str) else value)
    return EmbeddedWorkflow(kind, found.get("prompt"), found.get("workflow"), a1111)


def parse(text: str) -> Json:
    """JSON as Python writes it, with NaN, which is null here; None for anything else, and for more than a workflow."""
    if parse_units(text.encode("utf-8", "replace")) > _MOST_UNITS:
        return None
    try:
        value: Json = json.loads(text, parse_constant=lambda _: None)
        json.dumps(value, ensure_ascii=False).encode()  # half a character, which no UTF-8 can hold, is found here
    except (ValueError, RecursionError):
        return None
    return value
