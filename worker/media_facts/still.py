"""Still images: JPEG, TIFF, BMP, OpenEXR and SVG."""

from __future__ import annotations

import re

from worker.media_facts.source import Findings, MediaSource

FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Types of JPEG segments that begin a frame."""
ALONE = frozenset({0x01, *range(0xD0, 0xD8), 0xFF})
"""Types of JPEG segments without content."""
END_OF_IMAGE = 0xD9
SHORT = 3
"""Type of a TIFF tag whose number has two bytes."""
OLD_HEADER = 12
"""Bytes of the BMP header of OS/2."""
EXR_WINDOW = b"displayWindow\0box2i\0\x10\0\0\0"
HEADER = 64 * 1024
"""Most bytes of a header that are read."""
PIXELS = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?:px)?", re.ASCII)
ATTRIBUTE = re.compile(rb"\s(width|height|viewBox)\s{0,9}=\s{0,9}[\"\']([^\"\'<>]{1,200})[\"\']")


def exr(source: MediaSource, findings: Findings) -> None:
    """Read the display window of an OpenEXR file."""
    head = source.read_up_to(0, HEADER)
    offset = head.find(EXR_WINDOW)
    if offset >= 0:
        left, top, right, bottom = source.unpack("<4i", offset + len(EXR_WINDOW))
        findings.set_size(right - left + 1, bottom - top + 1)


def svg(source: MediaSource, findings: Findings) -> None:
    """Read width and height of an SVG in pixels. If they are missing or have another unit, read its view box."""
    head = source.read_up_to(0, HEADER)
    start = head.find(b"<svg")
    tag = head[start : head.find(b">", start)] if start >= 0 else b""
    attributes = {name.decode(): text.decode("latin-1").strip() for name, text in ATTRIBUTE.findall(tag)}
    sides = [PIXELS.fullmatch(attributes.get(name, "")) for name in ("width", "height")]
    if not all(sides):
        sides = [PIXELS.fullmatch(text) for text in re.split(r"[\s,]+", attributes.get("viewBox", ""))[2:]]
    if len(sides) == 2 and sides[0] and sides[1]:
        findings.set_size(round(float(sides[0][1])), round(float(sides[1][1])))


def jpeg(source: MediaSource, findings: Findings) -> None:
    """Read the size from the first segment of a JPEG that begins a frame (ITU-T T.81)."""
    offset = 2
    while True:
        mark, kind = source.read(offset, 2)
        if mark != 0xFF or kind == END_OF_IMAGE:
            return
        if kind in FRAMES:
            height, width = source.unpack(">HH", offset + 5)
            findings.set_size(width, height)
            return
        (length,) = source.unpack(">H", offset + 2) if kind not in ALONE else (0,)
        offset += 1 if kind == 0xFF else 2 + length


def tiff(source: MediaSource, findings: Findings) -> None:
    """Read the tags 256 (width) and 257 (height) of the first directory."""
    order = "<" if source.head.startswith(b"II") else ">"
    (start,) = source.unpack(f"{order}4xI", 0)
    (tag_count,) = source.unpack(f"{order}H", start)
    sides = {}
    for offset in range(start + 2, start + 2 + 12 * tag_count, 12):
        tag, kind = source.unpack(f"{order}HH", offset)
        if tag in (256, 257):
            (sides[tag],) = source.unpack(f"{order}H" if kind == SHORT else f"{order}I", offset + 8)
    findings.set_size(sides.get(256, 0), sides.get(257, 0))


def bmp(source: MediaSource, findings: Findings) -> None:
    """Read the size from a BMP header of Windows or OS/2. A negative height means that the first row is the top."""
    (length,) = source.unpack("<I", 14)
    width, height = source.unpack("<HH" if length == OLD_HEADER else "<ii", 18)
    findings.set_size(width, abs(height))
