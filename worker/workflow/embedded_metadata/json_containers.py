"""The texts in files that hold JSON among other things: GLB, safetensors and latents, and SVG."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

from worker.bodies import parse_json
from worker.errors import InvalidJson

MOST = 100_000_000
"""Bytes of a header of safetensors; the format allows no more."""

_JSON = 0x4E4F534A
_METADATA = re.compile(rb"<metadata[^>]{0,200}>\s*<!\[CDATA\[")
_END = b"]]>"


def glb_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of what the asset has in its extras."""
    length, kind = int.from_bytes(data[12:16], "little"), int.from_bytes(data[16:20], "little")
    asset = _object(data[20 : 20 + length]).get("asset") if kind == _JSON else None
    extras = asset.get("extras") if isinstance(asset, dict) else None
    yield from _texts(extras)


def is_safetensors(data: bytes) -> bool:
    """Whether a file begins as one: the length of its header, and the header's first bracket."""
    return 2 <= int.from_bytes(data[:8], "little") <= MOST and data[8:9] == b"{"


def safetensors_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each entry of the metadata."""
    length = int.from_bytes(data[:8], "little")
    yield from _texts(_object(data[8 : 8 + length]).get("__metadata__"))


def is_svg(data: bytes) -> bool:
    start = data[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<svg") or (start.startswith(b"<") and b"<svg" in data[:10_000])


def svg_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """The text of the first metadata, an object that has both prompt and workflow."""
    start = _METADATA.search(data)
    end = data.find(_END, start.end()) if start else -1
    if start and end >= 0:
        yield "comment", data[start.end() : end].decode("utf-8", "replace")


def _object(text: bytes) -> dict[str, object]:
    try:
        value = parse_json(text.rstrip(b"\0 "))
    except InvalidJson:
        return {}
    return value if isinstance(value, dict) else {}


def _texts(entries: object) -> Iterator[tuple[str, str]]:
    for name, value in entries.items() if isinstance(entries, dict) else ():
        yield name, value if isinstance(value, str) else orjson.dumps(value).decode()
