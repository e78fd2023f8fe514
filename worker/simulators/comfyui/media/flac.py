"""A writer of FLAC files (RFC 9639). Samples are stored uncompressed, and a silent block is stored as one number."""

from __future__ import annotations

import math
import struct
from array import array
from functools import cache
from hashlib import md5

BLOCK = 4096
_BEEP_S = 0.25
_AMPLITUDE = 6000


def write_flac(seconds: float, sample_rate: int, channels: int, tone_hz: float | None, comment: str) -> bytes:
    """Return a 16-bit FLAC file: a short beep of `tone_hz`, followed by silence. None means no beep."""
    total = round(seconds * sample_rate)
    beep = min(total, round(_BEEP_S * sample_rate)) if tone_hz else 0
    samples = array("h", (_sample(index, tone_hz or 0.0, sample_rate) for index in range(beep)))
    frames = []
    checksum = md5(usedforsecurity=False)
    for number, start in enumerate(range(0, total, BLOCK)):
        block = samples[start : start + BLOCK]
        length = min(BLOCK, total - start)
        block.extend([0] * (length - len(block)))
        frames.append(_frame(number, block, channels))
        checksum.update(_interleaved(block, channels))
    info = _stream_info(total, sample_rate, channels, checksum.digest())
    return b"fLaC" + _metadata(0, info) + _metadata(4, _comments(comment), last=True) + b"".join(frames)


def _sample(index: int, tone_hz: float, sample_rate: int) -> int:
    """Return one sample of the tone."""
    return round(_AMPLITUDE * math.sin(2 * math.pi * tone_hz * index / sample_rate))


def _frame(number: int, block: array[int], channels: int) -> bytes:
    """Return one frame (RFC 9639, section 9). All channels have the same samples."""
    # The block size is fixed and stands in 16 bits at the end of the header. Rate and depth are those of the stream.
    head = struct.pack(">HBB", 0xFFF8, 0x70, (channels - 1) << 4) + _utf8(number) + struct.pack(">H", len(block) - 1)
    head += bytes([_crc(head, 8, 0x07)])
    body = head + _subframe(block) * channels
    return body + struct.pack(">H", _crc(body, 16, 0x8005))


def _subframe(block: array[int]) -> bytes:
    """Return a constant subframe for silence, otherwise a verbatim one."""
    if not any(block):
        return b"\x00" + struct.pack(">h", 0)
    return b"\x02" + _big_endian(block)


def _interleaved(block: array[int], channels: int) -> bytes:
    """Return a block as interleaved samples of all channels, from which the checksum is computed."""
    if not any(block):
        return bytes(2 * len(block) * channels)
    return array("h", (sample for sample in block for _ in range(channels))).tobytes()


def _big_endian(block: array[int]) -> bytes:
    """Return the samples of a block in big-endian order."""
    swapped = array("h", block)
    swapped.byteswap()
    return swapped.tobytes()


def _stream_info(total: int, sample_rate: int, channels: int, checksum: bytes) -> bytes:
    """Return the body of the STREAMINFO block (RFC 9639, section 8.2). `total` is the number of samples."""
    packed = sample_rate << 44 | (channels - 1) << 41 | 15 << 36 | total
    return struct.pack(">2H", BLOCK, BLOCK) + bytes(6) + packed.to_bytes(8, "big") + checksum


def _comments(comment: str) -> bytes:
    """Return the body of the VORBIS_COMMENT block."""
    vendor, entry = b"comfy-worker embedded engine", f"COMMENT={comment}".encode()
    return struct.pack("<I", len(vendor)) + vendor + struct.pack("<2I", 1, len(entry)) + entry


def _metadata(kind: int, body: bytes, *, last: bool = False) -> bytes:
    """Return a metadata block with its header."""
    return struct.pack(">I", (last << 31) | kind << 24 | len(body)) + body


def _utf8(number: int) -> bytes:
    """Encode a frame number in FLAC's variation of UTF-8."""
    return chr(number).encode("utf-8", "surrogatepass")


def _crc(data: bytes, width: int, polynomial: int) -> int:
    """Return the CRC of `width` bits, with the start value 0."""
    table, mask, value = _table(width, polynomial), (1 << width) - 1, 0
    for byte in data:
        value = (value << 8 & mask) ^ table[value >> (width - 8) ^ byte]
    return value


@cache
def _table(width: int, polynomial: int) -> list[int]:
    """Return the CRC of each byte value, the lookup table of `_crc`."""
    top, mask = 1 << (width - 1), (1 << width) - 1
    table = []
    for byte in range(256):
        value = byte << (width - 8)
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        table.append(value)
    return table
