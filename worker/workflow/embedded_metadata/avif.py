"""Reader of AVIF files: the texts of the EXIF data, which the `meta` box lists as an item (ISO/IEC 14496-12)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from worker.workflow.embedded_metadata.exif import exif_texts
from worker.workflow.embedded_metadata.mp4 import boxes

_MAX_ITEMS, _MAX_EXTENTS = 1000, 100


class _Reader:
    """A reader of the big-endian numbers in a box. Raises IndexError at the end of the box."""

    def __init__(self, data: bytes) -> None:
        self._data, self._position = data, 0

    def number(self, size: int) -> int:
        """Return the next unsigned number of `size` bytes. Raises IndexError if the box has fewer bytes left."""
        start, end = self._position, self._position + size
        if end > len(self._data):
            raise IndexError
        self._position = end
        return int.from_bytes(self._data[start:end], "big")

    def remaining(self) -> bytes:
        """Return the bytes that have not been read."""
        return self._data[self._position :]


def is_avif(data: bytes) -> bool:
    """Return whether a file is an AVIF: its first box lists a brand that begins with `avi`."""
    return data[4:8] == b"ftyp" and b"avi" in data[8 : min(64, int.from_bytes(data[:4], "big"))]


def avif_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each field of the EXIF data in an AVIF file. Damaged files yield fewer or none."""
    meta = next((body for kind, body in boxes(data) if kind == b"meta"), b"")
    inner_boxes = dict(boxes(meta[4:]))  # after version and flags
    with suppress(IndexError):
        items = frozenset(_exif_items(inner_boxes.get(b"iinf", b"")))
        if not items:
            return
        for start, length in _extents(inner_boxes.get(b"iloc", b""), items):
            body = data[start : start + length]
            padding = int.from_bytes(body[:4], "big")  # bytes between this number and the EXIF data
            yield from exif_texts(body[4 + padding :])


def _exif_items(body: bytes) -> Iterator[int]:
    """Yield the ids of the items of type `Exif` from the `iinf` box (ISO/IEC 14496-12, section 8.11.6).

    Raises IndexError if the box is damaged.
    """
    reader = _Reader(body)
    version = reader.number(4) >> 24  # one byte of version and three of flags
    reader.number(4 if version else 2)  # number of entries
    for kind, entry in boxes(reader.remaining()):
        if kind != b"infe":
            continue
        fields = _Reader(entry)
        version = fields.number(4) >> 24
        if version >= 2:  # older entries have no type
            item_id = fields.number(4 if version > 2 else 2)
            fields.number(2)  # index of the item's encryption
            if fields.remaining()[:4] == b"Exif":
                yield item_id


def _extents(body: bytes, items: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Yield start and length in bytes of each part of these items from the `iloc` box (section 8.11.3).

    Items that are not stored at offsets of this file are skipped. Raises IndexError if the box is damaged.
    """
    reader = _Reader(body)
    version = reader.number(4) >> 24
    sizes = reader.number(2)
    offset_size, length_size, base_size, index_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15, sizes & 15
    for _ in range(min(reader.number(4 if version == 2 else 2), _MAX_ITEMS)):
        item_id = reader.number(4 if version == 2 else 2)
        is_in_file = version == 0 or not reader.number(2) & 15  # the construction method
        reader.number(2)  # index of the file
        base = reader.number(base_size)
        for _ in range(min(reader.number(2), _MAX_EXTENTS)):
            if version:
                reader.number(index_size)
            start, length = reader.number(offset_size), reader.number(length_size)
            if item_id in items and is_in_file:
                yield base + start, length
