"""Writers of image files with more than 8 bits a channel, which Pillow does not write: 16-bit PNG and OpenEXR."""

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
    """Return a 16-bit PNG file with the scaled values of an 8-bit image, and `texts` as text chunks."""
    width, height = image.size
    channels = len(image.getbands())
    # 257 scales 255 to 65535. Both bytes of each value are then equal, so the byte order does not matter.
    wide = array("H", (257 * value for value in image.tobytes())).tobytes()
    row = width * channels * 2
    lines = b"".join(b"\0" + wide[start : start + row] for start in range(0, row * height, row))
    header = struct.pack(">2I5B", width, height, 16, _COLOR_TYPES[image.mode], 0, 0, 0)
    notes = [_chunk(b"tEXt", key.encode("latin-1") + b"\0" + text.encode()) for key, text in texts.items()]
    parts = [_chunk(b"IHDR", header), *notes, _chunk(b"IDAT", zlib.compress(lines)), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def write_exr(image: Image, texts: Mapping[str, str]) -> bytes:
    """Return an uncompressed OpenEXR file of 32-bit floats in scene-linear light, with `texts` as attributes.

    The format is that of the page "OpenEXR File Layout" of openexr.com.
    """
    width, height = image.size
    planes = dict(sorted((name, _floats(image, name)) for name in image.getbands()))
    header = _header(width, height, list(planes), texts)
    size = 8 + 4 * width * len(planes)  # row number, data size and data of one row
    first = len(header) + 8 * height  # the table of offsets comes before the rows
    offsets = struct.pack(f"<{height}Q", *(first + size * row for row in range(height)))
    lines = [
        struct.pack("<2i", row, size - 8)
        + b"".join(plane[row * width : (row + 1) * width].tobytes() for plane in planes.values())
        for row in range(height)
    ]
    return header + offsets + b"".join(lines)


def _header(width: int, height: int, channels: list[str], texts: Mapping[str, str]) -> bytes:
    """Return the OpenEXR magic number, version and attributes."""
    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    channel_list = b"".join(name.encode() + b"\0" + struct.pack("<iB3x2i", _FLOAT, 0, 1, 1) for name in channels)
    attributes = [
        ("channels", "chlist", channel_list + b"\0"),
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
    encoded = b"".join(
        name.encode() + b"\0" + kind.encode() + b"\0" + struct.pack("<i", len(value)) + value
        for name, kind, value in attributes
    )
    return struct.pack("<2I", 20000630, 2) + encoded + b"\0"


def _floats(image: Image, channel: str) -> array[float]:
    """Return one channel as little-endian floats. Colours are converted to linear light, alpha is not."""
    table = [value / 255 if channel == "A" else _linear(value / 255) for value in range(256)]
    plane = array("f", map(table.__getitem__, image.getchannel(channel).tobytes()))
    if sys.byteorder == "big":
        plane.byteswap()
    return plane


def _linear(value: float) -> float:
    """Return the linear value of an sRGB value from 0 to 1."""
    return value / 12.92 if value <= 0.04045 else float(((value + 0.055) / 1.055) ** 2.4)


def _chunk(kind: bytes, body: bytes) -> bytes:
    """Return a PNG chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
