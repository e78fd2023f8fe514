"""The files that jobs read, made here: small, and the same each time."""

from __future__ import annotations

import io
import math
import struct
import wave
from collections.abc import Callable, Mapping

import orjson
from PIL import Image

WIDTH, HEIGHT = 64, 48
RATE, SECONDS = 22050, 0.5


def picture() -> bytes:
    """A PNG with a gradient."""
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata([(4 * x, 5 * y, 128) for y in range(HEIGHT) for x in range(WIDTH)])
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def sound() -> bytes:
    """A WAV with a tone."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        samples = (int(8000 * math.sin(2 * math.pi * 440 * at / RATE)) for at in range(int(RATE * SECONDS)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return data.getvalue()


def mesh() -> bytes:
    """A GLB with one triangle."""
    points = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    description = orjson.dumps(
        {
            "asset": {"version": "2.0"},
            "scene": 0,
            "scenes": [{"nodes": [0]}],
            "nodes": [{"mesh": 0}],
            "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
            "buffers": [{"byteLength": len(points)}],
            "bufferViews": [{"buffer": 0, "byteLength": len(points)}],
            "accessors": [
                {
                    "bufferView": 0,
                    "componentType": 5126,
                    "count": 3,
                    "type": "VEC3",
                    "min": [0, 0, 0],
                    "max": [1, 1, 0],
                }
            ],
        }
    )
    description += b" " * (-len(description) % 4)
    chunks = struct.pack("<I4s", len(description), b"JSON") + description
    chunks += struct.pack("<I4s", len(points), b"BIN\0") + points
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def splat() -> bytes:
    """A PLY with two Gaussians."""
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2"]
    names += ["rot_0", "rot_1", "rot_2", "rot_3"]
    head = ["ply", "format binary_little_endian 1.0", "element vertex 2"]
    head += [*(f"property float {name}" for name in names), "end_header", ""]
    rows = ([at, at, at, 0.5, 0.5, 0.5, 2.0, -3.0, -3.0, -3.0, 1.0, 0.0, 0.0, 0.0] for at in (0.0, 1.0))
    return "\n".join(head).encode() + b"".join(struct.pack("<14f", *row) for row in rows)


def words() -> bytes:
    return b"first\nsecond\n"


MEDIA: Mapping[str, Callable[[], bytes]] = {
    "picture": picture,
    "sound": sound,
    "mesh": mesh,
    "splat": splat,
    "words": words,
}
