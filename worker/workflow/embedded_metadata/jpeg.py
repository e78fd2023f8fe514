"""The texts in a JPEG: those of its EXIF, where node packs that save JPEG write a workflow."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.workflow.embedded_metadata.exif import exif_texts

_EXIF, _PICTURE = 0xFFE1, 0xFFDA


def jpeg_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each field of the EXIF."""
    place = 2
    while place + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, place)
        if marker < 0xFF00 or marker == _PICTURE or length < 2:
            return
        if marker == _EXIF:
            yield from exif_texts(data[place + 4 : place + 2 + length])
        place += 2 + length
