"""Writers of silent MP3 and Opus files. Encoding audio in these formats would need a codec library."""

from __future__ import annotations

import struct
from functools import cache

_MP3_FRAME_SAMPLES = 1152
_MP3_RATE = 44_100
# MPEG 1 layer III, 32 kbit/s, 44.1 kHz, stereo; a frame of zeros decodes to silence.
_MP3_FRAME = bytes.fromhex("fffb1000") + bytes(100)

_OPUS_RATE = 48_000
_OPUS_FRAME_SAMPLES = 960
_OPUS_PRE_SKIP = 312
_OPUS_SILENCE = b"\xf8\xff\xfe"
_PACKETS_PER_PAGE = 50
_SERIAL = 1
_FIRST_PAGE, _LAST_PAGE = 2, 4


def write_mp3(seconds: float, comment: str) -> bytes:
    """Return a silent MP3 file, 44.1 kHz stereo, with `comment` as an ID3 tag."""
    body = b"\x03eng\0" + comment.encode()
    frame = b"COMM" + _syncsafe(len(body)) + b"\0\0" + body
    tag = b"ID3\x04\0\0" + _syncsafe(len(frame)) + frame
    return tag + _MP3_FRAME * max(1, round(seconds * _MP3_RATE / _MP3_FRAME_SAMPLES))


def write_opus(seconds: float, comment: str) -> bytes:
    """Return a silent Opus file, 48 kHz stereo, in an Ogg container (RFC 7845)."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 2, _OPUS_PRE_SKIP, _OPUS_RATE, 0, 0)
    vendor, entry = b"comfy-worker embedded engine", f"COMMENT={comment}".encode()
    tags = b"OpusTags" + struct.pack("<I", len(vendor)) + vendor + struct.pack("<2I", 1, len(entry)) + entry
    pages = [_page([head], 0, 0, _FIRST_PAGE), _page([tags], 0, 1, 0)]
    total = max(1, -(-round(seconds * _OPUS_RATE) // _OPUS_FRAME_SAMPLES))  # number of packets, rounded up
    end = round(seconds * _OPUS_RATE) + _OPUS_PRE_SKIP
    for start in range(0, total, _PACKETS_PER_PAGE):
        count = min(_PACKETS_PER_PAGE, total - start)
        is_last = start + count == total
        position = end if is_last else (start + count) * _OPUS_FRAME_SAMPLES
        pages.append(_page([_OPUS_SILENCE] * count, position, len(pages), _LAST_PAGE if is_last else 0))
    return b"".join(pages)


def _page(packets: list[bytes], position: int, number: int, kind: int) -> bytes:
    """Return one Ogg page (RFC 3533). Raises ValueError when the packets are too long for one page.

    `position` is the number of samples until the end of the page, and `kind` marks the first and the last page.
    A packet's size is written as a sum of lacing values: 255 each, and a last one that is smaller.
    """
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    if len(lacing) > 255:
        raise ValueError("the comment is too long for one Ogg page")
    head = struct.pack("<4sBBq2I", b"OggS", 0, kind, position, _SERIAL, number)
    tail = bytes([len(lacing)]) + lacing + b"".join(packets)
    return head + struct.pack("<I", _crc(head + bytes(4) + tail)) + tail


def _syncsafe(number: int) -> bytes:
    """Return a size in ID3's form: four bytes of seven bits each."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _crc(data: bytes) -> int:
    """Return Ogg's CRC-32, which is not reflected and starts at 0."""
    table, value = _table(), 0
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ table[value >> 24 ^ byte]
    return value


@cache
def _table() -> list[int]:
    """Return the CRC of each byte value, the lookup table of `_crc`."""
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value & 0x80000000 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table
