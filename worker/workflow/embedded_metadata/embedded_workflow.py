"""The prompt and the workflow that ComfyUI embeds into the files that it saves."""

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
_READERS_BY_MAGIC: tuple[tuple[str, int, bytes, Callable[[bytes], Texts]], ...] = (
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
"""Name of the format, offset and bytes of its signature, and the reader of its texts."""
_READERS_BY_CONTENT: tuple[tuple[str, Callable[[bytes], bool], Callable[[bytes], Texts]], ...] = (
    ("AVIF", is_avif, avif_texts),
    ("safetensors", is_safetensors, safetensors_texts),
    ("SVG", is_svg, svg_texts),
)
"""Name of the format, a function that recognizes it, and the reader of its texts."""
_A1111_KEY, _A1111_STEPS = "parameters", "\nSteps: "
_MAX_UNITS = BodyLimits(total=0).units
_COMBINED_KEYS = ("comment", "description")
"""Fields in which some node packs write one object with both the prompt and the workflow."""


@dataclass(frozen=True, slots=True)
class EmbeddedWorkflow:
    """The metadata of one file. `kind` is the file's format. A part that is absent or is not JSON is None."""

    kind: str
    prompt: Json = None
    workflow: Json = None
    a1111: bool = False
    """Whether the file has the parameters text of AUTOMATIC1111."""

    @property
    def best(self) -> Json:
        """The prompt if the file has one, because that is what ran. Otherwise the workflow, or None."""
        return self.prompt if isinstance(self.prompt, dict) and self.prompt else self.workflow


def read_embedded_workflow(data: bytes) -> EmbeddedWorkflow | None:
    """Return the metadata of an image, video, audio, 3D or safetensors file, or None for a file of another format.

    Damaged files raise no error.
    """
    for kind, is_format, texts in _READERS_BY_CONTENT:
        if is_format(data):
            return _parse_texts(kind, texts(data))
    for kind, offset, magic, texts in _READERS_BY_MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return _parse_texts(kind, texts(data))
    return None


def extract_workflow(data: bytes, charset: str = "") -> Json:
    """Return the workflow or prompt in a file: JSON, or the metadata of an image, video, audio, 3D or safetensors file.

    JSON may also be an export or the body of a request in any dialect, and in any encoding that requests may have.
    `charset` is the declared encoding. Raises CannotConvert if the file has no workflow or the JSON is nested too deep.
    """
    try:
        value = read_workflow_file(data, charset)
        check_depth(value, "the workflow")
        return cast("Json", unwrap(exported_workflow(value)))
    except InvalidJson as error:
        raise CannotConvert(error.message) from None


def read_workflow_file(data: bytes, charset: str = "") -> Json:
    """Return the whole JSON of a workflow file, or the prompt or workflow that a file of another format embeds.

    `charset` is the declared encoding of JSON. Raises CannotConvert if the file is neither, or has no workflow.
    """
    embedded = read_embedded_workflow(data)
    if embedded is not None:
        return _best_part(embedded)
    try:
        json_text = utf8_text(data, charset)
    except InvalidJson as error:
        raise CannotConvert(error.message) from None
    try:
        return cast("Json", orjson.loads(json_text))
    except orjson.JSONDecodeError as error:
        value = parse_python_json(json_text.decode("utf-8", "replace"))  # accepts NaN, which orjson does not
        if value is None:
            raise _not_a_workflow(json_text, error) from None
        return value


def _best_part(embedded: EmbeddedWorkflow) -> Json:
    """Return the embedded prompt or workflow. Raises CannotConvert if the file has neither."""
    if isinstance(embedded.best, dict):
        return embedded.best
    if embedded.a1111:
        raise CannotConvert(
            f"this {embedded.kind} has only the parameters of AUTOMATIC1111, which are a text and not a workflow"
        )
    raise CannotConvert(f"this {embedded.kind} has no workflow: ComfyUI did not save it, or its metadata was removed")


def _not_a_workflow(text: bytes, error: orjson.JSONDecodeError) -> CannotConvert:
    """Return the error for a file that is not JSON: with the position of the syntax error if it begins like JSON."""
    if text.lstrip()[:1] in (b"{", b"["):
        return CannotConvert(invalid_json_error(text, error, "the workflow").message)
    return CannotConvert("this is neither JSON nor a file in which ComfyUI embeds workflows")


def _parse_texts(kind: str, texts: Texts) -> EmbeddedWorkflow:
    """Return the prompt and the workflow in the texts of a file of the format `kind`.

    The texts are pairs of name and text. The first text of each name counts.
    """
    parts: dict[str, Json] = {}
    has_a1111 = False
    for name, text in texts:
        key = name.lower()
        is_combined = key in _COMBINED_KEYS
        has_a1111 = has_a1111 or key == _A1111_KEY or (is_combined and _A1111_STEPS in text)
        if key in ("prompt", "workflow"):
            parts.setdefault(key, parse_python_json(text))
        elif is_combined and text.lstrip().startswith("{"):
            combined = parse_python_json(text)
            for part in ("prompt", "workflow"):
                value = combined.get(part) if isinstance(combined, dict) else None
                parts.setdefault(part, parse_python_json(value) if isinstance(value, str) else value)
    return EmbeddedWorkflow(kind, parts.get("prompt"), parts.get("workflow"), has_a1111)


def parse_python_json(text: str) -> Json:
    """Return the value of a JSON text that Python wrote, with None in place of NaN and infinity.

    Return None if the text is not JSON, has too many values, or cannot be written as UTF-8.
    """
    if parse_units(text.encode("utf-8", "replace")) > _MAX_UNITS:
        return None
    try:
        value: Json = json.loads(text, parse_constant=lambda _: None)
        json.dumps(value, ensure_ascii=False).encode()  # raises for a lone surrogate, which UTF-8 cannot represent
    except (ValueError, RecursionError):
        return None
    return value
