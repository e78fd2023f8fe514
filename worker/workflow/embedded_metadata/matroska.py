"""The texts in a WebM or Matroska file: the simple tags of its segment, whose names are written in capitals."""

from __future__ import annotations

from collections.abc import Iterator

_SEGMENT, _TAGS, _TAG, _SIMPLE, _NAME, _STRING = 0x18538067, 0x1254C367, 0x7373, 0x67C8, 0x45A3, 0x4487
_INSIDE = (_SEGMENT, _TAGS, _TAG)
_TAGS_ID = _TAGS.to_bytes(4, "big")


def matroska_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Name and text of each tag."""
    waiting = [(0, len(data))]
    while waiting:
        for element, start, end in _elements(data, *waiting.pop()):
            if element in _INSIDE:
                waiting.append((start, end))
            elif element == _SIMPLE:
                inside = {inner: data[first:last] for inner, first, last in _elements(data, start, end)}
                yield _text(inside.get(_NAME, b"")), _text(inside.get(_STRING, b""))


def _text(body: bytes) -> str:
    return body.rstrip(b"\0").decode("utf-8", "replace")


def _elements(data: bytes, place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(id, start and end of the content) of each element; one of unknown length ends where the tags begin."""
    while place < end:
        element, place = _number(data, place, keep_marker=True)
        length, place = _number(data, place, keep_marker=False)
        if element < 0 or place > end:
            return
        if length < 0:  # unknown, as in a live recording
            if element != _SEGMENT:
                place = data.find(_TAGS_ID, place, end)
                if place < 0:
                    return
                continue
            length = end - place
        yield element, place, min(place + length, end)
        place += length


def _number(data: bytes, place: int, *, keep_marker: bool) -> tuple[int, int]:
    """A number of variable length and the place behind it; -1 for one that is broken or means unknown."""
    first = data[place] if place < len(data) else 0
    if not first:
        return -1, len(data) + 1
    size = 9 - first.bit_length()
    value = int.from_bytes(data[place : place + size], "big")
    bits = 7 * size
    if not keep_marker:
        value &= (1 << bits) - 1
        if value == (1 << bits) - 1:
            value = -1
    return value, place + size
