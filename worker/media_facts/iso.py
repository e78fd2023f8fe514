"""MP4, MOV, M4A and AVIF, which consist of nested boxes (ISO/IEC 14496-12). Only the boxes with facts are read."""

from __future__ import annotations

from collections.abc import Iterator

from worker.media_facts.source import Findings, MediaSource

UNKNOWN = frozenset({0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF})
Box = tuple[bytes, int, int]
"""Kind, start and end of the content of a box."""


def iso(source: MediaSource, findings: Findings) -> None:
    """Read the box `moov` of a video, which may be after gigabytes of data, or the box `meta` of an image."""
    for kind, start, end in boxes(source, 0, source.size):
        if kind == b"moov":
            _movie(source, start, end, findings)
            return
        if kind == b"meta":
            _image(source, start + 4, end, findings)


def boxes(source: MediaSource, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes in a range. Stop at a box with an invalid length.

    A length of 1 means that the real length follows in 64 bits, and 0 that the box extends to the end.
    """
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


def boxes_at(source: MediaSource, start: int, end: int, *path: bytes) -> Iterator[tuple[int, int]]:
    """Yield start and end of the content of each box at a path of nested kinds."""
    for kind, first, last in boxes(source, start, end):
        if kind == path[0] and len(path) == 1:
            yield first, last
        elif kind == path[0]:
            yield from boxes_at(source, first, last, *path[1:])


def _movie(source: MediaSource, start: int, end: int, findings: Findings) -> None:
    """Set the duration of a video, and the size of its first video track."""
    scale = 0
    for kind, first, last in boxes(source, start, end):
        if kind == b"mvhd":
            scale, duration = _movie_header(source, first)
            findings.set_duration(duration, scale)
        elif kind == b"trak" and findings.width is None:
            _track(source, first, last, findings)
        elif kind == b"mvex" and findings.duration_s is None:  # a fragmented file
            for offset, _ in boxes_at(source, first, last, b"mehd"):
                layout = ">4xQ" if source.read(offset, 1) == b"\1" else ">4xI"
                (duration,) = source.unpack(layout, offset)
                findings.set_duration(duration, scale)


def _movie_header(source: MediaSource, offset: int) -> tuple[int, int]:
    """Return the units per second, and the duration in units, or 0 if it is not known."""
    layout = ">4x16xIQ" if source.read(offset, 1) == b"\1" else ">4x8xII"
    scale, duration = source.unpack(layout, offset)
    return scale, 0 if duration in UNKNOWN else duration


def _track(source: MediaSource, start: int, end: int, findings: Findings) -> None:
    """Set the displayed size and the frames of a video track.

    A rotation by 90 degrees, as phones write it, swaps the sides.
    """
    size = (0, 0)
    for kind, first, last in boxes(source, start, end):
        if kind == b"tkhd":
            layout = ">52x9i2I" if source.read(first, 1) == b"\1" else ">40x9i2I"
            *matrix, width, height = source.unpack(layout, first)
            turned = matrix[0] == matrix[4] == 0 and matrix[1] != 0
            size = (height >> 16, width >> 16) if turned else (width >> 16, height >> 16)
        elif kind == b"mdia" and any(
            source.read(offset + 8, 4) == b"vide" for offset, _ in boxes_at(source, first, last, b"hdlr")
        ):
            findings.set_size(*size)
            for offset, _ in boxes_at(source, first, last, b"minf", b"stbl", b"stsz"):
                findings.set_frames(*source.unpack(">8xI", offset))


def _image(source: MediaSource, start: int, end: int, findings: Findings) -> None:
    """Set the largest size in the file, because tiles, masks and thumbnails have sizes, too."""
    for offset, _ in boxes_at(source, start, end, b"iprp", b"ipco", b"ispe"):
        width, height = source.unpack(">4xII", offset)
        if width * height > (findings.width or 0) * (findings.height or 0):
            findings.set_size(width, height)
