"""Small input files for the jobs. They are the same each time."""

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


def make_image() -> bytes:
    """Return a PNG file with a gradient."""
    image = Image.new("RGB", (WIDTH, HEIGHT))
    image.putdata([(4 * x, 5 * y, 128) for y in range(HEIGHT) for x in range(WIDTH)])
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def make_audio() -> bytes:
    """Return a WAV file with a tone of 440 Hz."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        samples = (int(8000 * math.sin(2 * math.pi * 440 * index / RATE)) for index in range(int(RATE * SECONDS)))
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))
    return data.getvalue()


def make_mesh() -> bytes:
    """Return a GLB file with one triangle."""
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


def make_splat() -> bytes:
    """Return a PLY file with two Gaussians."""
    names = ["x", "y", "z", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1", "scale_2"]
    names += ["rot_0", "rot_1", "rot_2", "rot_3"]
    head = ["ply", "format binary_little_endian 1.0", "element vertex 2"]
    head += [*(f"property float {name}" for name in names), "end_header", ""]
    rows = ([x, x, x, 0.5, 0.5, 0.5, 2.0, -3.0, -3.0, -3.0, 1.0, 0.0, 0.0, 0.0] for x in (0.0, 1.0))
    return "\n".join(head).encode() + b"".join(struct.pack("<14f", *row) for row in rows)


def make_text() -> bytes:
    """Return a text file with two lines."""
    return b"first\nsecond\n"


MEDIA: Mapping[str, Callable[[], bytes]] = {
    "picture": make_image,
    "sound": make_audio,
    "mesh": make_mesh,
    "splat": make_splat,
    "words": make_text,
}
"""Functions that make the files, by the name that the job files use."""
