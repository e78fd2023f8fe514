"""The texts in an MP4 or MOV: `moov/udta/meta` or `moov/meta`, by the names in `keys` or by Apple's four letters."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_INSIDE = (b"moov", b"udta")
_DEEPEST = 3
_LETTERS = {b"\xa9cmt": "comment", b"desc": "description"}


def mp4_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each item of the metadata."""
    waiting = [(data, 0)]
    while waiting:
        inside, depth = waiting.pop()
        for kind, body in boxes(inside):
            if kind in _INSIDE and depth < _DEEPEST:
                waiting.append((body, depth + 1))
            elif kind == b"meta":
                # QuickTime's has its boxes at once, MP4's a version before them.
                yield from _items(dict(boxes(body if body[4:8] == b"hdlr" else body[4:])))


def _items(meta: dict[bytes, bytes]) -> Iterator[tuple[str, str]]:
    names = list(_keys(meta.get(b"keys", b"")))
    for kind, item in boxes(meta.get(b"ilst", b"")):
        (number,) = struct.unpack(">I", kind)
        name = names[number - 1] if 1 <= number <= len(names) else _LETTERS.get(kind, "")
        value = dict(boxes(item)).get(b"data", b"")
        if name:
            yield name, value[8:].decode("utf-8", "replace")


def _keys(body: bytes) -> Iterator[str]:
    place = 8
    while place + 8 <= len(body):
        (length,) = struct.unpack_from(">I", body, place)
        if length < 8:
            return
        yield body[place + 8 : place + length].decode("utf-8", "replace")
        place += length


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of each box; what the picture itself is made of is left out."""
    place = 0
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        head = 8
        if length == 1 and place + 16 <= len(data):
            (length,) = struct.unpack_from(">Q", data, place + 8)
            head = 16
        length = length or len(data) - place
        if length < head:
            return
        yield kind, data[place + head : place + length] if kind != b"mdat" else b""
        place += length
