"""FLAC, MP3 and AAC files without a container."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from worker.media_facts.source import Findings, MediaSource, Unreadable

SEARCHED = 16 * 1024
"""Bytes after the tags in which the first frame of an MP3 has to begin."""
SAME_RATE = 100
"""Frames of equal bit rate after which an MP3 without a frame count is assumed to have a constant bit rate."""
KBITS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates by MPEG version and layer."""
RATES = (44_100, 48_000, 32_000)
AAC_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)


@dataclass(frozen=True, slots=True)
class Mp3Frame:
    """One frame of an MP3.

    `length` in bytes, `samples`, `rate` in samples per second, `kbits` in kbit/s, `side` the bytes of side information.
    """

    length: int
    samples: int
    rate: int
    kbits: int
    side: int


def flac(source: MediaSource, findings: Findings) -> None:
    """Read number of samples and sample rate from the first block, STREAMINFO (RFC 9639)."""
    offset = _after_tags(source)
    mark, bits = source.unpack(">4s14xQ", offset)
    if mark == b"fLaC":
        findings.set_duration(bits & 0xFFFFFFFFF, bits >> 44)


def mp3(source: MediaSource, findings: Findings) -> None:
    """Set the duration from the frame count that encoders write into the first frame, or from a constant bit rate."""
    offset = _first_frame(source, _after_tags(source))
    frame = _frame(source, offset)
    info = source.read_up_to(offset + 4 + frame.side, 12)
    vbri = source.read_up_to(offset + 36, 18)
    if info[:4] in (b"Xing", b"Info") and info[7] & 1:
        samples = int.from_bytes(info[8:12], "big") * frame.samples
        findings.set_duration(samples - _padding_samples(source, offset, frame), frame.rate)
    elif vbri[:4] == b"VBRI":
        findings.set_duration(int.from_bytes(vbri[14:18], "big") * frame.samples, frame.rate)
    else:
        _read_constant_rate(source, offset, frame, findings)


def adts(source: MediaSource, findings: Findings) -> None:
    """Count the samples of all frames of an AAC file (ADTS, ISO/IEC 13818-7), because it contains no duration."""
    offset, samples, rate = _after_tags(source), 0, 0
    while offset + 7 <= source.size:
        head = source.read(offset, 7)
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or length < 7:
            break
        rate = AAC_RATES[head[2] >> 2 & 15]
        samples += 1024 * (1 + (head[6] & 3))
        offset += length
    findings.set_duration(samples, rate)


def _after_tags(source: MediaSource) -> int:
    """Return the offset of the audio data: 0, or after an ID3v2 tag. Each byte of the tag's size has seven bits."""
    if not source.head.startswith(b"ID3"):
        return 0
    size = 0
    for byte in source.read(6, 4):
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if source.read(5, 1)[0] & 0x10 else 0)


def _first_frame(source: MediaSource, start: int) -> int:
    """Return the offset of the first frame. A second frame must follow it, to exclude accidental byte patterns."""
    data = source.read_up_to(start, SEARCHED)
    offset = data.find(b"\xff")
    while offset >= 0:
        with suppress(Unreadable):
            next_frame = start + offset + _frame(source, start + offset).length
            if next_frame < source.size:
                _frame(source, next_frame)
            return start + offset
        offset = data.find(b"\xff", offset + 1)
    raise Unreadable


def _frame(source: MediaSource, offset: int) -> Mp3Frame:
    """Parse the header of an MP3 frame (ISO/IEC 11172-3 and 13818-3). Raises Unreadable if there is none."""
    sync, options, mode = source.unpack(">HBB", offset)
    version = {3: 1, 2: 2, 0: 3}.get(sync >> 3 & 3)  # 3 is MPEG 2.5
    layer = 4 - (sync >> 1 & 3)
    number, rate = options >> 4, options >> 2 & 3
    if sync & 0xFFE0 != 0xFFE0 or version is None or layer == 4 or not 0 < number < 15 or rate == 3:
        raise Unreadable
    kbits = KBITS[min(version, 2), layer][number - 1]
    hertz = RATES[rate] >> version - 1
    samples = _samples_per_frame(version, layer)
    unit = 4 if layer == 1 else 1  # bytes of a slot
    padding = (options >> 1 & 1) * unit
    length = samples // 8 // unit * kbits * 1000 // hertz * unit + padding
    is_mono = mode >> 6 == 3
    mono_bytes, stereo_bytes = (17, 32) if version == 1 else (9, 17)
    return Mp3Frame(length, samples, hertz, kbits, mono_bytes if is_mono else stereo_bytes)


def _samples_per_frame(version: int, layer: int) -> int:
    if layer == 1:
        return 384
    return 576 if layer == 3 and version > 1 else 1152


def _padding_samples(source: MediaSource, offset: int, frame: Mp3Frame) -> int:
    """Return the number of samples that the encoder added at the beginning and the end (LAME's tag, also by FFmpeg)."""
    start = offset + 4 + frame.side
    flags = source.read(start + 7, 1)[0]
    # The tag follows the optional fields of the Xing header, of 4, 4, 100 and 4 bytes.
    tag = start + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    encoder = source.read_up_to(tag, 24)
    if len(encoder) < 24 or not encoder[:4].isalnum():
        return 0
    delay_and_padding = int.from_bytes(encoder[21:24], "big")  # two numbers of 12 bits
    return (delay_and_padding >> 12) + (delay_and_padding & 0xFFF)


def _read_constant_rate(source: MediaSource, start: int, frame: Mp3Frame, findings: Findings) -> None:
    """Set the duration of an MP3 with a constant bit rate.

    It follows from the size of the file, or from the number of frames if there are fewer than SAME_RATE. Set nothing if
    the bit rate changes.
    """
    offset, frames = start, 0
    while frames < SAME_RATE and offset + 4 <= source.size and source.read(offset, 3) != b"TAG":
        current = _frame(source, offset)
        if (current.kbits, current.rate) != (frame.kbits, frame.rate):
            return
        offset, frames = offset + current.length, frames + 1
    has_id3v1_tag = source.size - start > 128 and source.read(source.size - 128, 3) == b"TAG"
    end = source.size - (128 if has_id3v1_tag else 0)
    if frames < SAME_RATE:
        findings.set_duration(frames * frame.samples, frame.rate)
    else:
        findings.set_duration((end - start) * 8, frame.kbits * 1000)
