"""The texts in EXIF: ComfyUI writes `prompt:{…}` and `workflow:{…}` into its fields, in WebP, AVIF and JPEG."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_BYTES, _ASCII, _UNDEFINED = 1, 2, 7
_INNER, _COMMENT = 0x8769, 0x9286
_MOST_FIELDS = 200
_SIGN = b"Exif\0\0"


def exif_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each field that has the form `name:text`, and the user's comment under `comment`."""
    data = data.removeprefix(_SIGN)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return
    try:
        (place,) = struct.unpack_from(f"{order}I", data, 4)
        yield from _texts(data, order, place, inner=True)
    except struct.error:
        return


def _texts(data: bytes, order: str, place: int, *, inner: bool) -> Iterator[tuple[str, str]]:
    (count,) = struct.unpack_from(f"{order}H", data, place)
    for field in range(min(count, _MOST_FIELDS)):
        entry = place + 2 + 12 * field
        tag, kind, length, offset = struct.unpack_from(f"{order}HHII", data, entry)
        start = entry + 8 if length <= 4 else offset
        if kind == _ASCII:
            name, colon, text = _text(data[start : start + length]).partition(":")
            if colon:
                yield name, text
        elif tag == _COMMENT and kind in (_BYTES, _UNDEFINED):
            yield "comment", _comment(data[start : start + length], order)
        elif tag == _INNER and inner:
            yield from _texts(data, order, offset, inner=False)


def _text(body: bytes) -> str:
    return body.rstrip(b"\0").decode("utf-8", "replace")


def _comment(body: bytes, order: str) -> str:
    """Its first eight bytes name the encoding."""
    if body.startswith(b"UNICODE\0"):
        return body[8:].decode("utf-16-le" if order == "<" else "utf-16-be", "replace").rstrip("\0")
    return _text(body[8:])
