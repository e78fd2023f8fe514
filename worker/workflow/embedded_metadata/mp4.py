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
    """Yield name and text of each item of the metadata in an MP4 or MOV file."""
    waiting = [(data, 0)]  # contents of containers with their depth
    while waiting:
        container, depth = waiting.pop()
        for kind, body in boxes(container):
            if kind in _CONTAINERS and depth < _MAX_DEPTH:
                waiting.append((body, depth + 1))
            elif kind == b"meta":
                # In MP4 a version comes before the inner boxes, in QuickTime it does not.
                yield from _items(dict(boxes(body if body[4:8] == b"hdlr" else body[4:])))


def _items(meta: dict[bytes, bytes]) -> Iterator[tuple[str, str]]:
    """Yield name and text of each item of a `meta` box, whose inner boxes are given by kind.

    The kind of an item is the number of its name in the box `keys`, counted from 1, or one of Apple's codes.
    """
    names = list(_keys(meta.get(b"keys", b"")))
    for kind, item in boxes(meta.get(b"ilst", b"")):
        (number,) = struct.unpack(">I", kind)
        name = names[number - 1] if 1 <= number <= len(names) else _APPLE_NAMES.get(kind, "")
        value = dict(boxes(item)).get(b"data", b"")
        if name:
            yield name, value[8:].decode("utf-8", "replace")  # after type and locale


def _keys(body: bytes) -> Iterator[str]:
    """Yield the names in a `keys` box. Each entry has a length, a namespace of four bytes, and the name."""
    position = 8  # after version, flags and the number of entries
    while position + 8 <= len(body):
        (length,) = struct.unpack_from(">I", body, position)
        if length < 8:
            return
        yield body[position + 8 : position + length].decode("utf-8", "replace")
        position += length


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of each box (ISO/IEC 14496-12, section 4.2). Stops at a damaged box.

    The media data (`mdat`) is yielded with an empty content, because a copy of it would take much memory.
    """
    position = 0
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        header = 8
        if length == 1 and position + 16 <= len(data):  # a longer length follows
            (length,) = struct.unpack_from(">Q", data, position + 8)
            header = 16
        length = length or len(data) - position  # 0 means up to the end of the file
        if length < header:
            return
        yield kind, b"" if kind == b"mdat" else data[position + header : position + length]
        position += length
