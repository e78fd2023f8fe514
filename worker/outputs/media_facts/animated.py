"""PNG and GIF: the size of the picture, and how long an animation of them takes."""

from __future__ import annotations

from worker.outputs.media_facts.source import Findings, MediaSource


def png(source: MediaSource, findings: Findings) -> None:
    """Read `IHDR`, and where `acTL` says that it is animated, the delay of each frame."""
    findings.size(*source.unpack(">16xII", 0))
    place, animated, seconds = 8, False, 0.0
    while place + 8 <= source.size:
        length, kind = source.unpack(">I4s", place)
        if kind == b"IEND" or (kind == b"IDAT" and not animated):
            break
        animated = animated or kind == b"acTL"
        if kind == b"fcTL":
            delay, unit = source.unpack(">20xHH", place + 8)
            seconds += delay / (unit or 100)
        place += 12 + length
    findings.lasts(seconds, 1)


def gif(source: MediaSource, findings: Findings) -> None:
    """Read the screen's size, and add the delays of the frames; a single frame is no animation."""
    width, height, flags = source.unpack("<6xHHB", 0)
    findings.size(width, height)
    place, frames, hundredths = 13 + _colours(flags), 0, 0
    while (mark := source.at(place, 1)) != b";":
        if mark == b"!":
            if source.at(place + 1, 1) == b"\xf9":
                (delay,) = source.unpack("<4xH", place)
                hundredths += delay
            place = _behind_blocks(source, place + 2)
        elif mark == b",":
            frames += 1
            place = _behind_blocks(source, place + 11 + _colours(source.at(place + 9, 1)[0]))
        else:
            break
    if frames > 1:
        findings.lasts(hundredths, 100)


def _colours(flags: int) -> int:
    """Bytes of a table of colours."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _behind_blocks(source: MediaSource, place: int) -> int:
    while length := source.at(place, 1)[0]:
        place += 1 + length
    return place + 1
