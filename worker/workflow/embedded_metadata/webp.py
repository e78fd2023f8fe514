"""The texts in a WebP: ComfyUI writes `prompt:{…}` and `workflow:{…}` into fields of its EXIF."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_ASCII = 2
_MOST_FIELDS = 200


def webp_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each field of the EXIF that has the form `name:text`."""
    place = 12
    while place + 8 <= len(data):
        kind = data[place : place + 4]
        (length,) = struct.unpack_from("<I", data, place + 4)
        if kind == b"EXIF":
            for text in _ascii_fields(data[place + 8 : place + 8 + length].removeprefix(b"Exif\0\0")):
                name, colon, rest = text.partition(":")
                if colon:
                    yield name, rest
        place += 8 + length + length % 2


def _ascii_fields(tiff: bytes) -> Iterator[str]:
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return
    try:
        (place,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, place)
        for field in range(min(count, _MOST_FIELDS)):
            entry = place + 2 + 12 * field
            _, kind, length = struct.unpack_from(f"{order}HHI", tiff, entry)
            (offset,) = struct.unpack_from(f"{order}I", tiff, entry + 8)
            if kind == _ASCII:
                start = entry + 8 if length <= 4 else offset
                yield tiff[start : start + length].rstrip(b"\0").decode("utf-8", "replace")
    except struct.error:
        return
