"""A writer of MP4 files with one video track of JPEG images (ISO/IEC 14496-12 and -14; object type 0x6C is JPEG)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from itertools import accumulate

TIMESCALE = 90_000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_JPEG_OBJECT = 0x6C
_VISUAL_STREAM = 0x11


def write_mp4(frames: Sequence[bytes], size: tuple[int, int], fps: float, comment: str) -> bytes:
    """Return an MP4 file of JPEG images of one size. An image that occurs several times is stored once.

    `comment` becomes the file's comment tag.
    """
    delta = max(1, round(TIMESCALE / fps))
    header = _box(b"ftyp", b"isom" + struct.pack(">I", 512) + b"isomiso2mp41")
    distinct = list(dict.fromkeys(frames))
    # The images follow the 8 bytes of the header of the box `mdat`.
    starts = dict(zip(distinct, accumulate(map(len, distinct), initial=len(header) + 8), strict=False))
    movie = _movie(frames, size, delta, [starts[frame] for frame in frames], comment)
    return b"".join((header, _box(b"mdat", b"".join(distinct)), movie))


def _movie(frames: Sequence[bytes], size: tuple[int, int], delta: int, offsets: Sequence[int], comment: str) -> bytes:
    """Return the `moov` box. `delta` is the duration of a frame, `offsets` are the frames' positions in the file."""
    duration = delta * len(frames)
    movie_header = struct.pack(">4I", 0, 0, TIMESCALE, duration) + struct.pack(">IHH2I", 0x10000, 0x100, 0, 0, 0)
    mvhd = _full(b"mvhd", movie_header + _MATRIX + bytes(24) + struct.pack(">I", 2))
    track_header = struct.pack(">5I", 0, 0, 1, 0, duration) + bytes(16) + _MATRIX
    tkhd = _full(b"tkhd", track_header + struct.pack(">2I", size[0] << 16, size[1] << 16), flags=3)
    mdhd = _full(b"mdhd", struct.pack(">4I2H", 0, 0, TIMESCALE, duration, 0x55C4, 0))
    hdlr = _full(b"hdlr", struct.pack(">I4s", 0, b"vide") + bytes(12) + b"video\0")
    media = _box(b"mdia", mdhd + hdlr + _media_information(frames, size, delta, offsets))
    return _box(b"moov", mvhd + _box(b"trak", tkhd + media) + _comment(comment))


def _media_information(frames: Sequence[bytes], size: tuple[int, int], delta: int, offsets: Sequence[int]) -> bytes:
    """Return the `minf` box with the table of the frames (ISO/IEC 14496-12). Each frame is a chunk of its own."""
    sample_sizes = struct.pack(f">2I{len(frames)}I", 0, len(frames), *map(len, frames))
    table = _box(
        b"stbl",
        _full(b"stsd", struct.pack(">I", 1) + _sample_entry(size))
        + _full(b"stts", struct.pack(">3I", 1, len(frames), delta))
        + _full(b"stsc", struct.pack(">4I", 1, 1, 1, 1))
        + _full(b"stsz", sample_sizes)
        + _full(b"stco", struct.pack(f">I{len(offsets)}I", len(offsets), *offsets)),
    )
    same_file = _full(b"url ", b"", flags=1)
    references = _box(b"dinf", _full(b"dref", struct.pack(">I", 1) + same_file))
    return _box(b"minf", _full(b"vmhd", bytes(8), flags=1) + references + table)


def _sample_entry(size: tuple[int, int]) -> bytes:
    """Return the sample entry `mp4v`, with a descriptor for JPEG (ISO/IEC 14496-14)."""
    visual = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">2H", *size)
    visual += struct.pack(">3IH", 0x480000, 0x480000, 0, 1) + bytes(32) + struct.pack(">Hh", 24, -1)
    config = _descriptor(0x04, struct.pack(">BB3s2I", _JPEG_OBJECT, _VISUAL_STREAM, bytes(3), 0, 0))
    stream = _descriptor(0x03, struct.pack(">HB", 1, 0) + config + _descriptor(0x06, b"\x02"))
    return _box(b"mp4v", visual + _full(b"esds", stream))


def _comment(text: str) -> bytes:
    """Return the `udta` box with the comment tag."""
    value = _box(b"data", struct.pack(">2I", 1, 0) + text.encode())
    items = _box(b"ilst", _box(b"\xa9cmt", value))
    handler = _full(b"hdlr", struct.pack(">I4s4s", 0, b"mdir", b"appl") + bytes(9))
    return _box(b"udta", _full(b"meta", handler + items))


def _descriptor(tag: int, body: bytes) -> bytes:
    """Return an MPEG-4 descriptor."""
    return struct.pack(">2B", tag, len(body)) + body


def _full(kind: bytes, body: bytes, flags: int = 0) -> bytes:
    """Return a full box: a box with a version (0) and flags."""
    return _box(kind, struct.pack(">I", flags) + body)


def _box(kind: bytes, body: bytes) -> bytes:
    """Return an MP4 box: its size, its type and its content."""
    return struct.pack(">I4s", len(body) + 8, kind) + body
