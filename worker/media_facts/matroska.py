"""WebM and Matroska, which consist of elements with ids and lengths of variable size (RFC 8794 and 9559)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from worker.media_facts.source import Findings, MediaSource, Unreadable

SEGMENT, CLUSTER = 0x18538067, 0x1F43B675
INFO, SCALE, DURATION = 0x1549A966, 0x2AD7B1, 0x4489
TRACKS, ENTRY, VIDEO, WIDTH, HEIGHT = 0x1654AE6B, 0xAE, 0xE0, 0xB0, 0xBA
FRAME_NS = 0x23E383
NANOSECONDS = 1_000_000_000
Element = tuple[int, int, int]
"""Id, start and end of the content of an element."""


def matroska(source: MediaSource, findings: Findings) -> None:
    """Read `Info` and `Tracks`, which encoders write before the first cluster."""
    frame_ns = 0
    for element, start, end in elements(source, 0, source.size):
        if element == SEGMENT:
            for inner, first, last in elements(source, start, end):
                if inner == INFO:
                    _info(source, first, last, findings)
                elif inner == TRACKS:
                    frame_ns = _tracks(source, first, last, findings)
                if findings.width and findings.duration_s:
                    findings.set_frames(findings.duration_s * NANOSECONDS / frame_ns if frame_ns else 0)
                    return


def elements(source: MediaSource, start: int, end: int) -> Iterator[Element]:
    """Yield the elements in a range. An element of unknown length, as in a live recording, ends with the range."""
    while start < end:
        element, offset = _number(source, start, keep_mark=True)
        length, offset = _number(source, offset, keep_mark=False)
        last = end if length < 0 else min(offset + length, end)
        yield element, offset, last
        if length < 0 and element == CLUSTER:
            raise Unreadable  # the end of the cluster cannot be determined
        start = last


def _number(source: MediaSource, offset: int, *, keep_mark: bool) -> tuple[int, int]:
    """Return a number of variable length (RFC 8794) and the offset after it.

    The leading zero bits give the number of bytes, and a mark bit ends them. Ids keep the mark (`keep_mark`). A length
    is -1 if all its bits are set, which means "unknown".
    """
    first = source.read(offset, 1)[0]
    if not first:
        raise Unreadable
    size = 9 - first.bit_length()
    value = int.from_bytes(source.read(offset, size), "big")
    mark = 1 << 7 * size
    if not keep_mark:
        value = -1 if value == 2 * mark - 1 else value - mark
    return value, offset + size


def _info(source: MediaSource, start: int, end: int, findings: Findings) -> None:
    """Set the duration, which is in units of `TimestampScale` nanoseconds (by default a million)."""
    scale, duration = 1_000_000, 0.0
    for element, first, last in elements(source, start, end):
        if element == SCALE:
            scale = _integer(source, first, last)
        elif element == DURATION:
            (duration,) = struct.unpack(">d" if last - first == 8 else ">f", source.read(first, last - first))
    findings.set_duration(duration * scale, NANOSECONDS)


def _tracks(source: MediaSource, start: int, end: int, findings: Findings) -> int:
    """Set the size of the first video track, and return the nanoseconds of one of its frames, 0 if not known."""
    for element, first, last in elements(source, start, end):
        if element != ENTRY:
            continue
        content = {inner: (inner_start, inner_end) for inner, inner_start, inner_end in elements(source, first, last)}
        if VIDEO in content:
            sides = {
                name: _integer(source, *value)
                for name, *value in elements(source, *content[VIDEO])
                if name in (WIDTH, HEIGHT)
            }
            findings.set_size(sides.get(WIDTH, 0), sides.get(HEIGHT, 0))
            return _integer(source, *content[FRAME_NS]) if FRAME_NS in content else 0
    return 0


def _integer(source: MediaSource, start: int, end: int) -> int:
    """Return the unsigned integer in a range of at most eight bytes."""
    if end - start > 8:
        raise Unreadable
    return int.from_bytes(source.read(start, end - start), "big")
