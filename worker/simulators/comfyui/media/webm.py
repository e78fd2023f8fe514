"""A writer of WebM files from lossy WebP files, each of which is one VP8 key frame in a RIFF container."""

from __future__ import annotations

import struct
from collections.abc import Sequence

_CLUSTER_MS = 5000
_KEY_FRAME = 0x80


def vp8_frame(webp: bytes) -> bytes:
    """Return the VP8 key frame of a lossy WebP file. Raises ValueError for any other file."""
    position = 12
    while position + 8 <= len(webp):
        kind, length = struct.unpack_from("<4sI", webp, position)
        if kind == b"VP8 ":
            return webp[position + 8 : position + 8 + length]
        position += 8 + length + length % 2
    raise ValueError("not a lossy WebP file")


def write_webm(frames: Sequence[bytes], size: tuple[int, int], fps: float, comment: str) -> bytes:
    """Return a WebM file of VP8 key frames of one size, with `comment` as a tag."""
    times = [round(index * 1000 / fps) for index in range(len(frames))]
    duration = struct.pack(">d", len(frames) * 1000 / fps)
    info = _element(0x1549A966, _number(0x2AD7B1, 1_000_000) + _element(0x4489, duration) + _writing_app())
    video = _element(0xE0, _number(0xB0, size[0]) + _number(0xBA, size[1]))
    entry = _number(0xD7, 1) + _number(0x73C5, 1) + _number(0x83, 1) + _element(0x86, b"V_VP8") + video
    entry += _number(0x23E383, round(1e9 / fps))  # nanoseconds of a frame, as ffmpeg writes them
    tracks = _element(0x1654AE6B, _element(0xAE, entry))
    tags = _element(0x1254C367, _element(0x7373, _element(0x63C0, b"") + _tag("COMMENT", comment)))
    return _head() + _element(0x18538067, info + tracks + tags + _clusters(frames, times))


def _head() -> bytes:
    """Return the EBML header of a WebM file (RFC 8794)."""
    versions = _number(0x4286, 1) + _number(0x42F7, 1) + _number(0x42F2, 4) + _number(0x42F3, 8)
    return _element(0x1A45DFA3, versions + _element(0x4282, b"webm") + _number(0x4287, 2) + _number(0x4285, 2))


def _writing_app() -> bytes:
    """Return the elements that name the program which wrote the file."""
    name = b"comfy-worker embedded engine"
    return _element(0x4D80, name) + _element(0x5741, name)


def _tag(name: str, text: str) -> bytes:
    """Return a tag with a name and a text."""
    return _element(0x67C8, _element(0x45A3, name.encode()) + _element(0x4487, text.encode()))


def _clusters(frames: Sequence[bytes], times: Sequence[int]) -> bytes:
    """Return the clusters of 5 seconds each. `times` are the start times of the frames in milliseconds."""
    clusters: dict[int, bytes] = {}
    for frame, time in zip(frames, times, strict=True):
        start = time - time % _CLUSTER_MS
        block = struct.pack(">BhB", 0x81, time - start, _KEY_FRAME) + frame
        clusters[start] = clusters.get(start, b"") + _element(0xA3, block)
    return b"".join(_element(0x1F43B675, _number(0xE7, start) + blocks) for start, blocks in clusters.items())


def _number(identifier: int, value: int) -> bytes:
    """Return an EBML element with an unsigned integer."""
    return _element(identifier, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def _element(identifier: int, body: bytes) -> bytes:
    """Return an EBML element. Identifiers contain their own length, and the size is written in eight bytes."""
    head = identifier.to_bytes((identifier.bit_length() + 7) // 8, "big")
    return head + (len(body) | 1 << 56).to_bytes(8, "big") + body
