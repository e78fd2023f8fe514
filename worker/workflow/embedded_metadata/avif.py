"""The texts in an AVIF: those of the EXIF that its `meta` box names as an item."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from worker.workflow.embedded_metadata.exif import exif_texts
from worker.workflow.embedded_metadata.mp4 import boxes

_MOST_ITEMS, _MOST_PARTS = 1000, 100


class _Reader:
    """Numbers of a box, one after another. Raises IndexError behind its end."""

    def __init__(self, data: bytes) -> None:
        self._data, self.place = data, 0

    def number(self, size: int) -> int:
        if self.place + size > len(self._data):
            raise IndexError
        self.place += size
        return int.from_bytes(self._data[self.place - size : self.place], "big")

    def rest(self) -> bytes:
        return self._data[self.place :]


def is_avif(data: bytes) -> bool:
    """Whether a file names the format among its brands."""
    return data[4:8] == b"ftyp" and b"avi" in data[8 : min(64, int.from_bytes(data[:4], "big"))]


def avif_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each field of the EXIF."""
    meta = next((body for kind, body in boxes(data) if kind == b"meta"), b"")
    parts = dict(boxes(meta[4:]))
    with suppress(IndexError):
        items = frozenset(_exif_items(parts.get(b"iinf", b"")))
        for start, length in _places(parts.get(b"iloc", b""), items) if items else ():
            body = data[start : start + length]
            yield from exif_texts(body[4 + int.from_bytes(body[:4], "big") :])


def _exif_items(body: bytes) -> Iterator[int]:
    reader = _Reader(body)
    version = reader.number(4) >> 24
    reader.number(4 if version else 2)
    for kind, entry in boxes(reader.rest()):
        fields = _Reader(entry)
        version = fields.number(4) >> 24 if kind == b"infe" else 0
        if version >= 2:
            number = fields.number(4 if version > 2 else 2)
            fields.number(2)
            if fields.rest()[:4] == b"Exif":
                yield number


def _places(body: bytes, items: frozenset[int]) -> Iterator[tuple[int, int]]:
    """Start and length of each part of these items that lies in the file itself."""
    reader = _Reader(body)
    version = reader.number(4) >> 24
    sizes = reader.number(2)
    offset_size, length_size, base_size = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    for _ in range(min(reader.number(4 if version == 2 else 2), _MOST_ITEMS)):
        number = reader.number(4 if version == 2 else 2)
        in_file = version == 0 or not reader.number(2) & 15
        reader.number(2)
        base = reader.number(base_size)
        for _ in range(min(reader.number(2), _MOST_PARTS)):
            if version:
                reader.number(sizes & 15)
            start, length = reader.number(offset_size), reader.number(length_size)
            if number in items and in_file:
                yield base + start, length
