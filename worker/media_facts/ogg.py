"""Ogg with Opus, Vorbis or FLAC: the duration is the position of the last page."""

from __future__ import annotations

from worker.media_facts.source import Findings, MediaSource, Unreadable

TAIL = 64 * 1024
"""Bytes at the end of the file in which the last page begins. A page is at most this long."""


def ogg(source: MediaSource, findings: Findings) -> None:
    """Read the sample rate from the first page, and the position from the last page of the same stream."""
    serial, segments = source.unpack("<14xI8xB", 0)
    rate, skipped = _rate(source, 27 + segments)
    start = max(0, source.size - TAIL - 27)
    tail = source.read_up_to(start, TAIL + 27)
    offset = tail.rfind(b"OggS")
    while offset >= 0:
        position, owner = source.unpack("<6xqI", start + offset)
        if owner == serial and position >= 0:
            findings.set_duration(position - skipped, rate)
            return
        offset = tail.rfind(b"OggS", 0, offset)


def _rate(source: MediaSource, offset: int) -> tuple[int, int]:
    """Return the samples per second, and the number of samples at the beginning that are not played."""
    head = source.read_up_to(offset, 48)
    if head.startswith(b"OpusHead"):
        return 48_000, int.from_bytes(head[10:12], "little")
    if head.startswith(b"\x01vorbis"):
        return int.from_bytes(head[12:16], "little"), 0
    if head.startswith(b"\x7fFLAC"):
        return int.from_bytes(head[27:30], "big") >> 4, 0
    raise Unreadable
