"""The texts in a PNG: `tEXt`, `zTXt` and `iTXt`, and the chunk that ComfyUI writes into animated ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MOST_INFLATED = 64 * 1024 * 1024


def png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each, in order."""
    for kind, body in _chunks(data):
        name, zero, rest = body.partition(b"\0")
        if not zero:
            continue
        text = _text(kind, rest)
        if text is not None:
            yield name.decode("latin-1"), text


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 8
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        kind = data[place + 4 : place + 8]
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"comf"):
            yield kind, data[place + 8 : place + 8 + length]
        if kind == b"IEND":
            return
        place += length + 12


def _text(kind: bytes, rest: bytes) -> str | None:
    """The text behind a name: `comf` and `tEXt` plain, `zTXt` deflated, `iTXt` UTF-8 and maybe deflated."""
    if kind in (b"tEXt", b"comf"):
        return rest.decode("latin-1")
    if kind == b"zTXt":
        inflated = _inflate(rest[1:])
        return None if inflated is None else inflated.decode("latin-1")
    parts = rest[2:].split(b"\0", 2)
    if len(parts) < 3:
        return None
    plain = _inflate(parts[2]) if rest[:1] == b"\1" else parts[2]
    return None if plain is None else plain.decode("utf-8", "replace")


def _inflate(data: bytes) -> bytes | None:
    try:
        return zlib.decompressobj().decompress(data, MOST_INFLATED)
    except zlib.error:
        return None
