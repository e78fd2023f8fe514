"""Images, videos and workflows for requests."""

from __future__ import annotations

import io
import random
import struct
import zlib
from typing import Any

from PIL import Image

from tests.workflows import Workflow


def png(width: int = 40, height: int = 30, color: str = "red", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), color).save(buffer, "PNG", **options)
    return buffer.getvalue()


def noise(side: int = 200) -> bytes:
    """Return a PNG whose base64 is longer than 64 KiB."""
    image = Image.frombytes("RGB", (side, side), random.Random(side).randbytes(side * side * 3))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def loading(value: object, class_type: str = "LoadImage", name: str = "image") -> Workflow:
    """Return a workflow that loads one file and saves it."""
    return {
        "1": {"class_type": class_type, "inputs": {name: value}, "_meta": {"title": "Photo"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "inputs"}},
    }


def huge_png(width: int, height: int) -> bytes:
    """Return a PNG of 100 bytes that decodes to gigabytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


def many_frames() -> bytes:
    """Return a GIF of a few kilobytes whose frames have as many pixels as a very large image."""
    buffer = io.BytesIO()
    frames = [Image.new("1", (1000, 1000), number % 2) for number in range(100)]
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


BOMBS = {"beyond Pillow": huge_png(60_000, 60_000), "above the limit": huge_png(9500, 9500), "frames": many_frames()}
