"""Reader of PNG files: the chunks `tEXt`, `zTXt` and `iTXt`, and ComfyUI's chunk `comf` in animated images."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

MAX_INFLATED = 64 * 1024 * 1024
"""Bytes that one compressed text may have."""


def png_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each text chunk, in the order of the file. Damaged chunks are skipped."""
    for kind, body in _chunks(data):
        name, separator, content = body.partition(b"\0")
        if not separator:
            continue
        text = _decoded(kind, content)
        if text is not None:
            yield name.decode("latin-1"), text


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each text chunk. A chunk has a length, a kind, the content, and a checksum."""
    position = 8  # after the signature
    while position + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        kind = data[position + 4 : position + 8]
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"comf"):
            yield kind, data[position + 8 : position + 8 + length]
        if kind == b"IEND":
            return
        position += length + 12


def _decoded(kind: bytes, content: bytes) -> str | None:
    """Return the text of a chunk from its content after the name, or None if it is damaged (PNG, section 11.3.3).

    `zTXt` is compressed, after a byte for the method. `iTXt` has a flag for compression, the method, a language and a
    translated name before its text.
    """
    if kind in (b"tEXt", b"comf"):
        return content.decode("latin-1")
    if kind == b"zTXt":
        inflated = _inflate(content[1:])
        return None if inflated is None else inflated.decode("latin-1")
    is_compressed = content[:1] == b"\1"
    language_name_text = content[2:].split(b"\0", 2)
    if len(language_name_text) < 3:
        return None
    text = language_name_text[2]
    plain = _inflate(text) if is_compressed else text
    return None if plain is None else plain.decode("utf-8", "replace")


def _inflate(data: bytes) -> bytes | None:
    """Return decompressed data, cut to MAX_INFLATED bytes, or None if it is damaged."""
    try:
        return zlib.decompressobj().decompress(data, MAX_INFLATED)
    except zlib.error:
        return None
