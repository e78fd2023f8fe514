"""Pictures without a length: JPEG, TIFF, BMP, OpenEXR and SVG."""

from __future__ import annotations

import re

from worker.outputs.media_facts.source import Findings, MediaSource

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Kinds of the segments of a JPEG that begin a frame."""
ALONE = frozenset({0x01, *range(0xD0, 0xD8), 0xFF})
"""Kinds that have no content."""
END_OF_IMAGE = 0xD9
SHORT = 3
"""Type of a TIFF tag whose number has two bytes."""
OLD_HEADER = 12
"""Bytes of the header of a BMP of OS/2."""
EXR_WINDOW = b"displayWindow\0box2i\0\x10\0\0\0"
HEADER = 64 * 1024
"""Bytes of a header that are looked at."""
PIXELS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?:px)?", re.ASCII)
ATTRIBUTE = re.compile(rb"\s(width|height|viewBox)\s{0,9}=\s{0,9}[\"\']([^\"\'<>]{1,200})[\"\']")


def exr(source: MediaSource, findings: Findings) -> None:
    """Read the display window of an OpenEXR file."""
    head = source.some(0, HEADER)
    place = head.find(EXR_WINDOW)
    if place >= 0:
        left, top, right, bottom = source.unpack("<4i", place + len(EXR_WINDOW))
        findings.size(right - left + 1, bottom - top + 1)


def svg(source: MediaSource, findings: Findings) -> None:
    """Read width and height of an SVG in pixels; where they are missing or in another unit, its view box."""
    head = source.some(0, HEADER)
    start = head.find(b"<svg")
    tag = head[start : head.find(b">", start)] if start >= 0 else b""
    found = {name.decode(): text.decode("latin-1").strip() for name, text in ATTRIBUTE.findall(tag)}
    sides = [PIXELS.fullmatch(found.get(name, "")) for name in ("width", "height")]
    if not all(sides):
        sides = [PIXELS.fullmatch(text) for text in re.split(r"[\s,]+", found.get("viewBox", ""))[2:]]
    if len(sides) == 2 and sides[0] and sides[1]:
        findings.size(round(float(sides[0][1])), round(float(sides[1][1])))


def jpeg(source: MediaSource, findings: Findings) -> None:
    """Read the first segment that begins a frame."""
    place = 2
    while True:
        mark, kind = source.at(place, 2)
        if mark != 0xFF or kind == END_OF_IMAGE:
            return
        if kind in FRAMES:
            height, width = source.unpack(">HH", place + 5)
            findings.size(width, height)
            return
        (length,) = source.unpack(">H", place + 2) if kind not in ALONE else (0,)
        place += 1 if kind == 0xFF else 2 + length


def tiff(source: MediaSource, findings: Findings) -> None:
    """Read the tags 256 and 257 of the first directory."""
    order = "<" if source.head.startswith(b"II") else ">"
    (start,) = source.unpack(f"{order}4xI", 0)
    (count,) = source.unpack(f"{order}H", start)
    sides = {}
    for place in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = source.unpack(f"{order}HH", place)
        if tag in (256, 257):
            (sides[tag],) = source.unpack(f"{order}H" if kind == SHORT else f"{order}I", place + 8)
    findings.size(sides.get(256, 0), sides.get(257, 0))


def bmp(source: MediaSource, findings: Findings) -> None:
    """Read either kind of header; a negative height is that of a picture whose first line is the top."""
    (length,) = source.unpack("<I", 14)
    width, height = source.unpack("<HH" if length == OLD_HEADER else "<ii", 18)
    findings.size(width, abs(height))
