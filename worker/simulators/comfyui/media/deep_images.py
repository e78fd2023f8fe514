"""Picture files of more than 8 bits a channel, which Pillow does not write: PNG of 16 bits, and OpenEXR."""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_COLOR_TYPES = {"L": 0, "RGB": 2, "RGBA": 6}
_FLOAT = 2
_REC_709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)


def write_png16(image: Image, texts: Mapping[str, str]) -> bytes:
    """A PNG whose channels are those of 8 bits, scaled to 16."""
    width, height = image.size
    channels = len(image.getbands())
    wide = array("H", (257 * value for value in image.tobytes())).tobytes()  # two equal bytes: any byte order
    row = width * channels * 2
    lines = b"".join(b"\0" + wide[start : start + row] for start in range(0, row * height, row))
    header = struct.pack(">2I5B", width, height, 16, _COLOR_TYPES[image.mode], 0, 0, 0)
    notes = [_chunk(b"tEXt", key.encode("latin-1") + b"\0" + text.encode()) for key, text in texts.items()]
    parts = [_chunk(b"IHDR", header), *notes, _chunk(b"IDAT", zlib.compress(lines)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write_exr(image: Image, texts: Mapping[str, str]) -> bytes:
    """An uncompressed OpenEXR file of 32-bit floats in scene-linear light."""
    width, height = image.size
    planes = dict(sorted((name, _floats(image, name)) for name in image.getbands()))
    header = _header(width, height, list(planes), texts)
    size = 8 + 4 * width * len(planes)
    first = len(header) + 8 * height
    offsets = struct.pack(f"<{height}Q", *(first + size * row for row in range(height)))
    lines = [
        struct.pack("<2i", row, size - 8)
        + b"".join(plane[row * width : (row + 1) * width].tobytes() for plane in planes.values())
        for row in range(height)
    ]
    return header + offsets + b"".join(lines)


def _header(width: int, height: int, channels: list[str], texts: Mapping[str, str]) -> bytes:
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    listed = b"".join(name.encode() + b"\0" + struct.pack("<iB3x2i", _FLOAT, 0, 1, 1) for name in channels)
    attributes = [
        ("channels", "chlist", listed + b"\0"),
        ("compression", "compression", b"\0"),
        ("dataWindow", "box2i", window),
        ("displayWindow", "box2i", window),
        ("lineOrder", "lineOrder", b"\0"),
        ("pixelAspectRatio", "float", struct.pack("<f", 1.0)),
        ("screenWindowCenter", "v2f", struct.pack("<2f", 0.0, 0.0)),
        ("screenWindowWidth", "float", struct.pack("<f", 1.0)),
        *((key, "string", text.encode()) for key, text in texts.items()),
        ("chromaticities", "chromaticities", struct.pack("<8f", *_REC_709)),
    ]
    written = b"".join(
        name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
        for name, kind, value in attributes
    )
    return struct.pack("<2I", 20000630, 2) + written + b"\0"


def _floats(image: Image, channel: str) -> array[float]:
    table = [value / 255 if channel == "A" else _linear(value / 255) for value in range(256)]
    plane = array("f", map(table.__getitem__, image.getchannel(channel).tobytes()))
    if sys.byteorder == "big":
        plane.byteswap()
    return plane


def _linear(value: float) -> float:
    """The inverse of sRGB's curve."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
