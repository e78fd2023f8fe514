"""WAV, AVI and WebP, which consist of chunks with a name, a length and content (RIFF, and RF64 for large files)."""

from __future__ import annotations

from collections.abc import Iterator

from worker.media_facts.source import Findings, MediaSource

STREAMED = 0xFFFFFFFF
"""Length in a file that was written to a pipe, where the encoder could not correct it afterwards."""
ANIMATION_FLAG = 2
"""Bit of the flags of the chunk `VP8X` that marks an animation (WebP Container Specification)."""
Chunk = tuple[bytes, int, int]
"""Name, start and end of the content of a chunk."""


def riff(source: MediaSource, findings: Findings) -> None:
    """Read a WAV, AVI or WebP file. Other formats are ignored."""
    file_format = source.read(8, 4)
    if file_format == b"WAVE":
        _wave(source, findings)
    elif file_format == b"AVI ":
        _avi(source, findings)
    elif file_format == b"WEBP":
        _webp(source, findings)


def chunks(source: MediaSource, start: int, end: int) -> Iterator[Chunk]:
    """Yield the chunks in a range."""
    while start + 8 <= end:
        name, length = source.unpack("<4sI", start)
        last = end if length == STREAMED else min(start + 8 + length, end)
        yield name, start + 8, last
        start = last + length % 2  # chunks begin at even offsets


def _wave(source: MediaSource, findings: Findings) -> None:
    """Compute the duration from the size of the data and the byte rate."""
    rate, ds64_size = 0, 0
    for name, start, end in chunks(source, 12, source.size):
        if name == b"ds64":
            (ds64_size,) = source.unpack("<8xQ", start)
        elif name == b"fmt ":
            (rate,) = source.unpack("<8xI", start)
        elif name == b"data":
            # RF64 stores a size of more than 32 bits in `ds64`.
            findings.set_duration(min(ds64_size, source.size - start) or end - start, rate)
            return


def _avi(source: MediaSource, findings: Findings) -> None:
    """Read the main header, which is the first item in the list of headers."""
    for name, start, _ in chunks(source, 12, source.size):
        if name == b"LIST" and source.read(start, 8) == b"hdrlavih":
            frame_us, frames, width, height = source.unpack("<I12xI12xII", start + 12)
            findings.set_size(width, height)
            findings.set_duration(frame_us * frames, 1_000_000)
            findings.set_frames(frames)
            return


def _webp(source: MediaSource, findings: Findings) -> None:
    """Read the size of the canvas, and add the durations of the frames of an animation."""
    milliseconds, frames = 0, 0
    for name, start, _ in chunks(source, 12, source.size):
        if name == b"VP8X":
            flags, width, height = source.unpack("<B3x3s3s", start)
            findings.set_size(1 + int.from_bytes(width, "little"), 1 + int.from_bytes(height, "little"))
            if not flags & ANIMATION_FLAG:
                return
        elif name == b"VP8 ":
            width, height = source.unpack("<6xHH", start)
            findings.set_size(width & 0x3FFF, height & 0x3FFF)
            return
        elif name == b"VP8L":
            (bits,) = source.unpack("<xI", start)
            findings.set_size(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
            return
        elif name == b"ANMF":
            milliseconds += int.from_bytes(source.read(start + 12, 3), "little")
            frames += 1
    findings.set_duration(milliseconds, 1000)
    findings.set_frames(frames)
