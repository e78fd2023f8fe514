"""Reader of WebM and Matroska files: the texts of the simple tags, whose names are in upper case."""

from __future__ import annotations

from collections.abc import Iterator

_SEGMENT, _TAGS, _TAG, _SIMPLE, _NAME, _STRING = 0x18538067, 0x1254C367, 0x7373, 0x67C8, 0x45A3, 0x4487
_CONTAINERS = (_SEGMENT, _TAGS, _TAG)
_TAGS_ID = _TAGS.to_bytes(4, "big")


def matroska_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each simple tag in a Matroska or WebM file (RFC 9559)."""
    waiting = [(0, len(data))]
    while waiting:
        for element, start, end in _elements(data, *waiting.pop()):
            if element in _CONTAINERS:
                waiting.append((start, end))
            elif element == _SIMPLE:
                tag = {inner: data[first:last] for inner, first, last in _elements(data, start, end)}
                yield _text(tag.get(_NAME, b"")), _text(tag.get(_STRING, b""))


def _text(body: bytes) -> str:
    """Return a text without its closing zeros."""
    return body.rstrip(b"\0").decode("utf-8", "replace")


def _elements(data: bytes, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield id, content start and content end of each element between `position` and `end` (RFC 8794, EBML).

    A segment of unknown length ends at `end`. An element of unknown length in it is skipped up to the tags.
    """
    while position < end:
        element, position = _variable_number(data, position, keep_marker=True)
        length, position = _variable_number(data, position, keep_marker=False)
        if element < 0 or position > end:
            return
        if length < 0:  # unknown, as in a live recording
            if element != _SEGMENT:
                position = data.find(_TAGS_ID, position, end)
                if position < 0:
                    return
                continue
            length = end - position
        yield element, position, min(position + length, end)
        position += length


def _variable_number(data: bytes, position: int, *, keep_marker: bool) -> tuple[int, int]:
    """Return a number of EBML, which has 1 to 8 bytes, and the position after it.

    The first bit that is set in the first byte is a marker: the bits before it count the further bytes. Ids keep the
    marker, lengths do not. The number is -1 if it is damaged or stands for an unknown length.
    """
    first = data[position] if position < len(data) else 0
    if not first:
        return -1, len(data) + 1
    size = 9 - first.bit_length()
    value = int.from_bytes(data[position : position + size], "big")
    if not keep_marker:
        largest = (1 << 7 * size) - 1  # stands for an unknown length
        value &= largest
        value = -1 if value == largest else value
    return value, position + size
