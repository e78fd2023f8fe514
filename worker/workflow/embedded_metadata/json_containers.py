"""Readers of formats that contain JSON: GLB, safetensors (also latents) and SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from worker.bodies import parse_json
from worker.errors import InvalidJson

MAX_HEADER_BYTES = 100_000_000
"""The longest header that the safetensors format allows."""

_JSON_CHUNK = 0x4E4F534A
_SVG_METADATA = re.compile(rb"<metadata[^>]{0,200}>\s*<!\[CDATA\[")
_CDATA_END = b"]]>"


def glb_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each entry in the `extras` of the asset of a GLB file (glTF 2.0, section 4.4).

    The first chunk, which begins at 12 with its length and kind, is the JSON of the asset.
    """
    length, kind = int.from_bytes(data[12:16], "little"), int.from_bytes(data[16:20], "little")
    asset = _json_object(data[20 : 20 + length]).get("asset") if kind == _JSON_CHUNK else None
    extras = asset.get("extras") if isinstance(asset, dict) else None
    yield from _entries(extras)


def is_safetensors(data: bytes) -> bool:
    """Return whether a file begins like a safetensors file: the length of the header in 8 bytes, then a brace."""
    return 2 <= int.from_bytes(data[:8], "little") <= MAX_HEADER_BYTES and data[8:9] == b"{"


def safetensors_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each entry of `__metadata__` in the JSON header of a safetensors file."""
    length = int.from_bytes(data[:8], "little")
    yield from _entries(_json_object(data[8 : 8 + length]).get("__metadata__"))


def is_svg(data: bytes) -> bool:
    """Return whether a file begins with an `<svg>` element, possibly after other XML."""
    start = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<svg") or (start.startswith(b"<") and b"<svg" in data[:10_000])


def svg_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the text of the first `<metadata>` element under the name `comment`.

    ComfyUI writes one JSON object with both the prompt and the workflow there.
    """
    opening = _SVG_METADATA.search(data)
    end = data.find(_CDATA_END, opening.end()) if opening else -1
    if opening and end >= 0:
        yield "comment", data[opening.end() : end].decode("utf-8", "replace")


def _json_object(text: bytes) -> dict[str, object]:
    """Return a JSON object, or an empty one if the text is not a JSON object."""
    try:
        value = parse_json(text.rstrip(b"\0 "))
    except InvalidJson:
        return {}
    return value if isinstance(value, dict) else {}


def _entries(entries: object) -> Iterator[tuple[str, str]]:
    """Yield name and text of each entry of an object, or nothing for other values.

    An entry that is not a text is yielded as JSON.
    """
    for name, value in entries.items() if isinstance(entries, dict) else ():
        yield name, value if isinstance(value, str) else orjson.dumps(value).decode()
