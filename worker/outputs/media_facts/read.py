"""Which parser reads a file: by its first bytes, and by its name only where a format has no mark of its own."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.outputs.media_facts import ogg, sound, still
from worker.outputs.media_facts.animated import gif, png
from worker.outputs.media_facts.iso import iso
from worker.outputs.media_facts.matroska import matroska
from worker.outputs.media_facts.riff import riff
from worker.outputs.media_facts.source import Findings, MediaSource, Unreadable

Parser = Callable[[MediaSource, Findings], None]
MARKS: tuple[tuple[int, bytes, Parser], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", png),
    (0, b"GIF8", gif),
    (0, b"RIFF", riff),
    (0, b"RF64", riff),
    (0, b"\x1aE\xdf\xa3", matroska),
    (0, b"OggS", ogg.ogg),
    (0, b"fLaC", sound.flac),
    (0, b"v/1\x01", still.exr),
    (0, b"\xff\xd8\xff", still.jpeg),
    (0, b"II*\0", still.tiff),
    (0, b"MM\0*", still.tiff),
    (0, b"BM", still.bmp),
    *((4, kind, iso) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
)
"""Place and bytes of the mark of a format."""
NAMES: dict[str, Parser] = {
    ".mp3": sound.mp3,
    ".aac": sound.adts,
    ".flac": sound.flac,
    ".svg": still.svg,
}

FOREIGN = (Unreadable, OSError, ValueError, ArithmeticError, LookupError, struct.error)
"""What broken bytes raise: a number that fits no type, an index beyond a list."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Pixels and seconds, None where they do not apply or are not known."""

    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


def media_facts(path: Path, head: bytes) -> MediaFacts:
    """Return what the headers of a file say; `head` is its beginning. Never raises, and reads a bounded part of it.

    A still picture has no duration. Where the file is broken or truncated the facts are those that were read before.
    """
    findings = Findings()
    parsers = list(_parsers(path, head))
    if parsers:
        with suppress(*FOREIGN), path.open("rb", buffering=0) as file:
            source = MediaSource(file, head, os.fstat(file.fileno()).st_size)
            for parser in parsers:
                parser(source, findings)
                if findings != Findings():
                    break
    return MediaFacts(findings.width, findings.height, findings.duration_s)


def _parsers(path: Path, head: bytes) -> Iterator[Parser]:
    for place, mark, parser in MARKS:
        if head.startswith(mark, place):
            yield parser
    named = NAMES.get(path.suffix.lower())
    if named is not None:
        yield named
