"""WAV, AVI and WebP: chunks of a name, a length and content (RIFF, and RF64 for large sounds)."""

from __future__ import annotations

from collections.abc import Iterator

from worker.outputs.media_facts.source import Findings, MediaSource

STREAMED = 0xFFFFFFFF
"""Length of what was written where nothing can be written again, as into a pipe."""
Chunk = tuple[bytes, int, int]
"""Name, beginning and end of the content."""


def riff(source: MediaSource, findings: Findings) -> None:
    """Read a file by the form that it names."""
    form = source.at(8, 4)
    if form == b"WAVE":
        _wave(source, findings)
    elif form == b"AVI ":
        _avi(source, findings)
    elif form == b"WEBP":
        _webp(source, findings)


def chunks(source: MediaSource, start: int, end: int) -> Iterator[Chunk]:
    while start + 8 <= end:
        name, length = source.unpack("<4sI", start)
        last = end if length == STREAMED else min(start + 8 + length, end)
        yield name, start + 8, last
        start = last + length % 2


def _wave(source: MediaSource, findings: Findings) -> None:
    rate, long = 0, 0
    for name, start, end in chunks(source, 12, source.size):
        if name == b"ds64":
            (long,) = source.unpack("<8xQ", start)
        elif name == b"fmt ":
            (rate,) = source.unpack("<8xI", start)
        elif name == b"data":
            findings.lasts(min(long, source.size - start) or end - start, rate)
            return


def _avi(source: MediaSource, findings: Findings) -> None:
    """Read the main header, which is the first thing in the list of headers."""
    for name, start, _ in chunks(source, 12, source.size):
        if name == b"LIST" and source.at(start, 8) == b"hdrlavih":
            frame_us, frames, width, height = source.unpack("<I12xI12xII", start + 12)
            findings.size(width, height)
            findings.lasts(frame_us * frames, 1_000_000)
            return


def _webp(source: MediaSource, findings: Findings) -> None:
    """Read the canvas, and how long each frame of an animation is shown."""
    milliseconds = 0
    for name, start, _ in chunks(source, 12, source.size):
        if name == b"VP8X":
            flags, width, height = source.unpack("<B3x3s3s", start)
            findings.size(1 + int.from_bytes(width, "little"), 1 + int.from_bytes(height, "little"))
            if not flags & 2:
                return
        elif name == b"VP8 ":
            width, height = source.unpack("<6xHH", start)
            findings.size(width & 0x3FFF, height & 0x3FFF)
            return
        elif name == b"VP8L":
            (bits,) = source.unpack("<xI", start)
            findings.size(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
            return
        elif name == b"ANMF":
            milliseconds += int.from_bytes(source.at(start + 12, 3), "little")
    findings.lasts(milliseconds, 1000)
