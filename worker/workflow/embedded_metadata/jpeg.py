"""Reader of JPEG files: the texts of the EXIF data, in which node packs that save JPEG write a workflow."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.workflow.embedded_metadata.exif import exif_texts

_EXIF_MARKER, _SCAN_MARKER = 0xFFE1, 0xFFDA


def jpeg_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each field of the EXIF data in a JPEG file.

    The file is a list of segments: a marker, a length that includes its own two bytes, and the content.
    """
    position = 2  # after the marker that starts the file
    while position + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, position)
        if marker < 0xFF00 or marker == _SCAN_MARKER or length < 2:  # damaged, or the image itself
            return
        if marker == _EXIF_MARKER:
            yield from exif_texts(data[position + 4 : position + 2 + length])
        position += 2 + length
