"""The texts in a WebP: those of its EXIF."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.workflow.embedded_metadata.exif import exif_texts


def webp_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each field of the EXIF."""
    place = 12
    while place + 8 <= len(data):
        kind = data[place : place + 4]
        (length,) = struct.unpack_from("<I", data, place + 4)
        if kind == b"EXIF":
            yield from exif_texts(data[place + 8 : place + 8 + length])
        place += 8 + length + length % 2
