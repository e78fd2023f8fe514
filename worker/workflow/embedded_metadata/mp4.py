"""Reader of MP4 and MOV files: the items of `moov/udta/meta` or `moov/meta`.

The names of the items are in the box `keys`, or are Apple's codes of four letters.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_CONTAINERS = (b"moov", b"udta")
_MAX_DEPTH = 3
_APPLE_NAMES = {b"\xa9cmt": "comment", b"desc": "description"}


def mp4_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each item of the metadata."""
    waiting = [(data, 0)]
    while waiting:
        container, depth = waiting.pop()
        for kind, body in boxes(container):
            if kind in _CONTAINERS and depth < _MAX_DEPTH:
                waiting.append((body, depth + 1))
            elif kind == b"meta":
                # In MP4 a version comes before the inner boxes, in QuickTime it does not.
                yield from _items(dict(boxes(body if body[4:8] == b"hdlr" else body[4:])))


def _items(meta: dict[bytes, bytes]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each item of a `meta` box."""
    names = list(_keys(meta.get(b"keys", b"")))
    for kind, item in boxes(meta.get(b"ilst", b"")):
        (number,) = struct.unpack(">I", kind)
        name = names[number - 1] if 1 <= number <= len(names) else _APPLE_NAMES.get(kind, "")
        value = dict(boxes(item)).get(b"data", b"")
        if name:
            yield name, value[8:].decode("utf-8", "replace")


def _keys(body: bytes) -> Iterator[str]:
    """Yield the names in a `keys` box."""
    position = 8
    while position + 8 <= len(body):
        (length,) = struct.unpack_from(">I", body, position)
        if length < 8:
            return
        yield body[position + 8 : position + length].decode("utf-8", "replace")
        position += length


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each box. The content of the media data (`mdat`) is replaced by an empty one."""
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if length == 1 and position + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        length = length or len(data) - position
        if length < header:
            return
        yield kind, data[position + header : position + length] if kind != b"mdat" else b""
        position += length
