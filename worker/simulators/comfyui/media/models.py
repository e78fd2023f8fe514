"""Writers of small model files: a latent, weights, a 3D model and an SVG drawing."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from html import escape

_ARRAY_BUFFER = 34962
_FLOAT = 5126


def write_safetensors(shape: Sequence[int], metadata: Mapping[str, str]) -> bytes:
    """Return a latent of zeros as SaveLatent writes it: `latent_tensor`, and the empty tensor that marks the format."""
    length = 4 * math.prod(shape)
    header = json.dumps(
        {
            "__metadata__": dict(metadata),
            "latent_format_version_0": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]},
            "latent_tensor": {"dtype": "F32", "shape": list(shape), "data_offsets": [0, length]},
        },
        separators=(",", ":"),
    ).encode()
    padded = header + b" " * (-len(header) % 8)  # to a multiple of 8 bytes
    return struct.pack("<Q", len(padded)) + padded + bytes(length)


def write_weights(metadata: Mapping[str, str]) -> bytes:
    """Return a safetensors file with one small tensor of zeros."""
    tensor = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    header = json.dumps({"__metadata__": dict(metadata), "weight": tensor}, separators=(",", ":")).encode()
    padded = header + b" " * (-len(header) % 8)
    return struct.pack("<Q", len(padded)) + padded + bytes(4)


def write_glb(comment: str) -> bytes:
    """Return a binary glTF 2.0 file with one triangle."""
    corners = struct.pack("<9f", 0, 0, 0, 1, 0, 0, 0, 1, 0)
    scene = {
        "asset": {"version": "2.0", "generator": "comfy-worker embedded engine", "extras": {"comment": comment}},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "accessors": [
            {"bufferView": 0, "componentType": _FLOAT, "count": 3, "type": "VEC3", "min": [0, 0, 0], "max": [1, 1, 0]}
        ],
        "bufferViews": [{"buffer": 0, "byteLength": len(corners), "target": _ARRAY_BUFFER}],
        "buffers": [{"byteLength": len(corners)}],
    }
    text = json.dumps(scene).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(corners), b"BIN\0") + corners
    return struct.pack("<4s2I", b"glTF", 2, 12 + len(chunks)) + chunks


def write_svg(comment: str) -> bytes:
    """Return an SVG file that shows the comment as text."""
    lines = f'<rect width="512" height="512" fill="#234"/><text x="16" y="32" fill="#fff">{escape(comment)}</text>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="512" height="512">{lines}</svg>\n'.encode()
