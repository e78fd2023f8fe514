"""PNG and GIF: the size of the image, and the duration of an animation."""

from __future__ import annotations

from worker.media_facts.source import Findings, MediaSource


def png(source: MediaSource, findings: Findings) -> None:
    """Read the size from `IHDR`, and the total delay of the frames if an `acTL` chunk marks the image as animated."""
    findings.set_size(*source.unpack(">16xII", 0))
    offset, animated, frames, seconds = 8, False, 0, 0.0
    while offset + 8 <= source.size:
        length, kind = source.unpack(">I4s", offset)
        if kind == b"IEND" or (kind == b"IDAT" and not animated):
            break
        animated = animated or kind == b"acTL"
        if kind == b"fcTL":
            delay, unit = source.unpack(">20xHH", offset + 8)
            seconds += delay / (unit or 100)
            frames += 1
        offset += 12 + length
    findings.set_duration(seconds, 1)
    findings.set_frames(frames)


def gif(source: MediaSource, findings: Findings) -> None:
    """Read the size of the screen and the total delay of the frames (GIF89a). One frame is not an animation."""
    width, height, flags = source.unpack("<6xHHB", 0)
    findings.set_size(width, height)
    offset, frames, hundredths = 13 + _palette_bytes(flags), 0, 0
    while (mark := source.read(offset, 1)) != b";":
        if mark == b"!":
            if source.read(offset + 1, 1) == b"\xf9":
                (delay,) = source.unpack("<4xH", offset)
                hundredths += delay
            offset = _end_of_blocks(source, offset + 2)
        elif mark == b",":
            frames += 1
            offset = _end_of_blocks(source, offset + 11 + _palette_bytes(source.read(offset + 9, 1)[0]))
        else:
            break
    if frames > 1:
        findings.set_duration(hundredths, 100)
        findings.set_frames(frames)


def _palette_bytes(flags: int) -> int:
    """Return the size in bytes of the colour table that the flags announce, or 0 if there is none."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _end_of_blocks(source: MediaSource, offset: int) -> int:
    """Return the offset after a sequence of data blocks."""
    while length := source.read(offset, 1)[0]:
        offset += 1 + length
    return offset + 1
