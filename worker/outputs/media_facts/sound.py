"""FLAC, MP3 and AAC as files of their own."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from worker.outputs.media_facts.source import Findings, MediaSource, Unreadable

SEARCHED = 16 * 1024
"""Bytes behind the tags in which the first frame of an MP3 has to begin."""
SAME_RATE = 100
"""Frames of one bit rate after which an MP3 without a count of frames is taken for one of constant rate."""
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
    """One frame of an MP3: its bytes, samples, samples a second, kbit/s, and the bytes before its side information."""

    length: int
    samples: int
    rate: int
    kbits: int
    side: int


def flac(source: MediaSource, findings: Findings) -> None:
    """Read STREAMINFO, the first block."""
    place = _behind_tags(source)
    mark, bits = source.unpack(">4s14xQ", place)
    if mark == b"fLaC":
        findings.lasts(bits & 0xFFFFFFFFF, bits >> 44)


def mp3(source: MediaSource, findings: Findings) -> None:
    """Read the count of frames that encoders put into the first one; without it only a constant rate has a length."""
    place = _first_frame(source, _behind_tags(source))
    frame = _frame(source, place)
    info = source.some(place + 4 + frame.side, 12)
    vbri = source.some(place + 36, 18)
    if info[:4] in (b"Xing", b"Info") and info[7] & 1:
        findings.lasts(int.from_bytes(info[8:12], "big") * frame.samples - _padding(source, place, frame), frame.rate)
    elif vbri[:4] == b"VBRI":
        findings.lasts(int.from_bytes(vbri[14:18], "big") * frame.samples, frame.rate)
    else:
        _constant(source, place, frame, findings)


def adts(source: MediaSource, findings: Findings) -> None:
    """Count the frames of an AAC file, which has no length anywhere."""
    place, samples, rate = _behind_tags(source), 0, 0
    while place + 7 <= source.size:
        head = source.at(place, 7)
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        if head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or length < 7:
            break
        rate = AAC_RATES[head[2] >> 2 & 15]
        samples += 1024 * (1 + (head[6] & 3))
        place += length
    findings.lasts(samples, rate)


def _behind_tags(source: MediaSource) -> int:
    """Where the sound begins, behind an ID3 tag."""
    if not source.head.startswith(b"ID3"):
        return 0
    size = 0
    for byte in source.at(6, 4):
        size = size << 7 | byte & 0x7F
    return 10 + size + (10 if source.at(5, 1)[0] & 0x10 else 0)


def _first_frame(source: MediaSource, start: int) -> int:
    """The first frame that another one follows, so that a byte pattern in the middle of something is none."""
    data = source.some(start, SEARCHED)
    place = data.find(b"\xff")
    while place >= 0:
        with suppress(Unreadable):
            behind = start + place + _frame(source, start + place).length
            if behind < source.size:
                _frame(source, behind)
            return start + place
        place = data.find(b"\xff", place + 1)
    raise Unreadable


def _frame(source: MediaSource, place: int) -> Mp3Frame:
    sync, options, mode = source.unpack(">HBB", place)
    version, layer = {3: 1, 2: 2, 0: 3}.get(sync >> 3 & 3), 4 - (sync >> 1 & 3)
    number, rate = options >> 4, options >> 2 & 3
    if sync & 0xFFE0 != 0xFFE0 or version is None or layer == 4 or not 0 < number < 15 or rate == 3:
        raise Unreadable
    kbits = KBITS[min(version, 2), layer][number - 1]
    hertz = RATES[rate] >> version - 1
    samples = 384 if layer == 1 else 576 if layer == 3 and version > 1 else 1152
    padding = (options >> 1 & 1) * (4 if layer == 1 else 1)
    unit = 4 if layer == 1 else 1
    length = samples // 8 // unit * kbits * 1000 // hertz * unit + padding
    mono = mode >> 6 == 3
    side = (17 if mono else 32) if version == 1 else 9 if mono else 17
    return Mp3Frame(length, samples, hertz, kbits, side)


def _padding(source: MediaSource, place: int, frame: Mp3Frame) -> int:
    """Samples that LAME and FFmpeg say were added in front and behind."""
    start = place + 4 + frame.side
    flags = source.at(start + 7, 1)[0]
    tag = start + 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    encoder = source.some(tag, 24)
    if len(encoder) < 24 or not encoder[:4].isalnum():
        return 0
    both = int.from_bytes(encoder[21:24], "big")
    return (both >> 12) + (both & 0xFFF)


def _constant(source: MediaSource, start: int, frame: Mp3Frame, findings: Findings) -> None:
    place, frames = start, 0
    while frames < SAME_RATE and place + 4 <= source.size and source.at(place, 3) != b"TAG":
        found = _frame(source, place)
        if (found.kbits, found.rate) != (frame.kbits, frame.rate):
            return
        place, frames = place + found.length, frames + 1
    end = source.size - (128 if source.size - start > 128 and source.at(source.size - 128, 3) == b"TAG" else 0)
    if frames < SAME_RATE:
        findings.lasts(frames * frame.samples, frame.rate)
    else:
        findings.lasts((end - start) * 8, frame.kbits * 1000)
