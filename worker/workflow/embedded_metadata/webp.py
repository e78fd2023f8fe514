"""Reader of WebP files: the texts of the EXIF data."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.workflow.embedded_metadata.exif import exif_texts


def webp_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each field of the EXIF data in a WebP file.

    The file is a list of chunks: a name of four bytes, the length, and the content, filled up to an even length.
    """
    position = 12  # after the header `RIFF`, a length and `WEBP`
    while position + 8 <= len(data):
        kind = data[position : position + 4]
        (length,) = struct.unpack_from("<I", data, position + 4)
        if kind == b"EXIF":
            yield from exif_texts(data[position + 8 : position + 8 + length])
        position += 8 + length + length % 2
