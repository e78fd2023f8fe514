"""MP4, MOV, M4A, AVIF: boxes inside boxes (ISO/IEC 14496-12), of which the few with the facts are read."""

from __future__ import annotations

from collections.abc import Iterator

from worker.outputs.media_facts.source import Findings, MediaSource

UNKNOWN = frozenset({0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
Box = tuple[bytes, int, int]
"""Kind, beginning and end of what is inside."""


def iso(source: MediaSource, findings: Findings) -> None:
    """Read the boxes `moov` of films and `meta` of pictures; a `moov` may stand behind gigabytes of data."""
    for kind, start, end in boxes(source, 0, source.size):
        if kind == b"moov":
            _movie(source, start, end, findings)
            return
        if kind == b"meta":
            _picture(source, start + 4, end, findings)


def boxes(source: MediaSource, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes in a range. Ends at one whose length can't be right."""
    while start + 8 <= end:
        length, kind = source.unpack(">I4s", start)
        head = 8
        if length == 1:
            (length,), head = source.unpack(">Q", start + 8), 16
        elif length == 0:
            length = end - start
        if length < head:
            return
        yield kind, start + head, min(start + length, end)
        start += length


def within(source: MediaSource, start: int, end: int, *path: bytes) -> Iterator[tuple[int, int]]:
    """Yield beginning and end of what is inside the boxes at a path."""
    for kind, first, last in boxes(source, start, end):
        if kind == path[0] and len(path) == 1:
            yield first, last
        elif kind == path[0]:
            yield from within(source, first, last, *path[1:])


def _movie(source: MediaSource, start: int, end: int, findings: Findings) -> None:
    scale = 0
    for kind, first, last in boxes(source, start, end):
        if kind == b"mvhd":
            scale, duration = _movie_header(source, first)
            findings.lasts(duration, scale)
        elif kind == b"trak" and findings.width is None:
            _track(source, first, last, findings)
        elif kind == b"mvex" and findings.duration_s is None:
            for place, _ in within(source, first, last, b"mehd"):
                layout = ">4xQ" if source.at(place, 1) == b"\1" else ">4xI"
                (duration,) = source.unpack(layout, place)
                findings.lasts(duration, scale)


def _movie_header(source: MediaSource, place: int) -> tuple[int, int]:
    """Return units a second and the length in units, 0 where that is not known."""
    layout = ">4x16xIQ" if source.at(place, 1) == b"\1" else ">4x8xII"
    scale, duration = source.unpack(layout, place)
    return scale, 0 if duration in UNKNOWN else duration


def _track(source: MediaSource, start: int, end: int, findings: Findings) -> None:
    """Note the size that a video track is shown in: a quarter turn, as phones write it, swaps the sides."""
    size = (0, 0)
    for kind, first, last in boxes(source, start, end):
        if kind == b"tkhd":
            layout = ">52x9i2I" if source.at(first, 1) == b"\1" else ">40x9i2I"
            *matrix, width, height = source.unpack(layout, first)
            turned = matrix[0] == matrix[4] == 0 and matrix[1] != 0
            size = (height >> 16, width >> 16) if turned else (width >> 16, height >> 16)
        elif kind == b"mdia" and any(
            source.at(place + 8, 4) == b"vide" for place, _ in within(source, first, last, b"hdlr")
        ):
            findings.size(*size)


def _picture(source: MediaSource, start: int, end: int, findings: Findings) -> None:
    """Note the largest size: tiles, masks and thumbnails have one, too."""
    for place, _ in within(source, start, end, b"iprp", b"ipco", b"ispe"):
        width, height = source.unpack(">4xII", place)
        if width * height > (findings.width or 0) * (findings.height or 0):
            findings.size(width, height)
