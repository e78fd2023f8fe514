"""WebM and Matroska: elements with ids and lengths of variable size (RFC 8794 and 9559)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.outputs.media_facts.source import Findings, MediaSource, Unreadable

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
INFO, SCALE, DURATION = 0x1549A966, 0x2AD7B1, 0x4489
TRACKS, ENTRY, VIDEO, WIDTH, HEIGHT = 0x1654AE6B, 0xAE, 0xE0, 0xB0, 0xBA
NANOSECONDS = 1_000_000_000
Element = tuple[int, int, int]
"""Id, beginning and end of the content."""


def matroska(source: MediaSource, findings: Findings) -> None:
    """Read `Info` and `Tracks`, which stand before the first cluster in what encoders write."""
    for element, start, end in elements(source, 0, source.size):
        if element == SEGMENT:
            for inner, first, last in elements(source, start, end):
                if inner == INFO:
                    _info(source, first, last, findings)
                elif inner == TRACKS:
                    _tracks(source, first, last, findings)
                if findings.width and findings.duration_s:
                    return


def elements(source: MediaSource, start: int, end: int) -> Iterator[Element]:
    """Yield the elements in a range. One of unknown length, as in a live recording, ends with the range."""
    while start < end:
        element, place = _number(source, start, keep_mark=True)
        length, place = _number(source, place, keep_mark=False)
        last = end if length < 0 else min(place + length, end)
        yield element, place, last
        if length < 0 and element == CLUSTER:
            raise Unreadable  # what follows can't be told from what is inside
        start = last


def _number(source: MediaSource, place: int, *, keep_mark: bool) -> tuple[int, int]:
    """Return a number of variable length and the place behind it; -1 for the one that means unknown."""
    first = source.at(place, 1)[0]
    if not first:
        raise Unreadable
    size = 9 - first.bit_length()
    value = int.from_bytes(source.at(place, size), "big")
    mark = 1 << 7 * size
    if not keep_mark:
        value = -1 if value == 2 * mark - 1 else value - mark
    return value, place + size


def _info(source: MediaSource, start: int, end: int, findings: Findings) -> None:
    scale, duration = 1_000_000, 0.0
    for element, first, last in elements(source, start, end):
        if element == SCALE:
            scale = _integer(source, first, last)
        elif element == DURATION:
            (duration,) = struct.unpack(">d" if last - first == 8 else ">f", source.at(first, last - first))
    findings.lasts(duration * scale, NANOSECONDS)


def _tracks(source: MediaSource, start: int, end: int, findings: Findings) -> None:
    """Note the size of the first video track."""
    for element, first, last in elements(source, start, end):
        if element == ENTRY and findings.width is None:
            for inner, place, behind in elements(source, first, last):
                if inner == VIDEO:
                    sides = {
                        name: _integer(source, *content)
                        for name, *content in elements(source, place, behind)
                        if name in (WIDTH, HEIGHT)
                    }
                    findings.size(sides.get(WIDTH, 0), sides.get(HEIGHT, 0))


def _integer(source: MediaSource, start: int, end: int) -> int:
    if end - start > 8:
        raise Unreadable
    return int.from_bytes(source.at(start, end - start), "big")
