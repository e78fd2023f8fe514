"""Ogg with Opus, Vorbis or FLAC inside: the length is the position of the last page."""

from __future__ import annotations

from worker.outputs.media_facts.source import Findings, MediaSource, Unreadable

TAIL = 64 * 1024
"""Bytes at the end of the file in which the last page begins: a page has at most as many."""


def ogg(source: MediaSource, findings: Findings) -> None:
    """Read rate and offset from the first page, and the position from the last page of the same stream."""
    serial, segments = source.unpack("<14xI8xB", 0)
    rate, skipped = _rate(source, 27 + segments)
    start = max(0, source.size - TAIL - 27)
    tail = source.some(start, TAIL + 27)
    place = tail.rfind(b"OggS")
    while place >= 0:
        position, owner = source.unpack("<6xqI", start + place)
        if owner == serial and position >= 0:
            findings.lasts(position - skipped, rate)
            return
        place = tail.rfind(b"OggS", 0, place)


def _rate(source: MediaSource, place: int) -> tuple[int, int]:
    """Return samples a second, and samples at the beginning that are not played."""
    head = source.some(place, 48)
    if head.startswith(b"OpusHead"):
        return 48_000, int.from_bytes(head[10:12], "little")
    if head.startswith(b"\x01vorbis"):
        return int.from_bytes(head[12:16], "little"), 0
    if head.startswith(b"\x7fFLAC"):
        return int.from_bytes(head[27:30], "big") >> 4, 0
    raise Unreadable
