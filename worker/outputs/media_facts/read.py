"""Selection of the parser for a file: by its first bytes, or by its extension for formats without a signature."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from worker.outputs.media_facts import audio, ogg, still
from worker.outputs.media_facts.animated import gif, png
from worker.outputs.media_facts.iso import iso
from worker.outputs.media_facts.matroska import matroska
from worker.outputs.media_facts.riff import riff
from worker.outputs.media_facts.source import Findings, MediaSource, Unreadable

Parser = Callable[[MediaSource, Findings], None]
SIGNATURES: tuple[tuple[int, bytes, Parser], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", png),
    (0, b"GIF8", gif),
    (0, b"RIFF", riff),
    (0, b"RF64", riff),
    (0, b"\x1aE\xdf\xa3", matroska),
    (0, b"OggS", ogg.ogg),
    (0, b"fLaC", audio.flac),
    (0, b"v/1\x01", still.exr),
    (0, b"\xff\xd8\xff", still.jpeg),
    (0, b"II*\0", still.tiff),
    (0, b"MM\0*", still.tiff),
    (0, b"BM", still.bmp),
    *((4, kind, iso) for kind in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")),
)
"""Offset and bytes of the signature of each format, and its parser."""
BY_EXTENSION: dict[str, Parser] = {
    ".mp3": audio.mp3,
    ".aac": audio.adts,
    ".flac": audio.flac,
    ".svg": still.svg,
}

PARSER_ERRORS = (Unreadable, OSError, ValueError, ArithmeticError, LookupError, struct.error)
"""Exceptions that parsers raise for damaged files, such as an index beyond the end of a list."""


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Width and height in pixels, and duration in seconds. None means not applicable or not known."""

    width: int | None = None
    height: int | None = None
    duration_s: float | None = None


def media_facts(path: Path, head: bytes) -> MediaFacts:
    """Return the facts in the headers of a file. `head` is the beginning of the file.

    It never raises, and reads a limited part of the file. A still image has no duration. Of a damaged file, the facts
    before the damage are returned.
    """
    findings = Findings()
    parsers = list(_parsers(path, head))
    if parsers:
        with suppress(*PARSER_ERRORS), path.open("rb", buffering=0) as file:
            source = MediaSource(file, head, os.fstat(file.fileno()).st_size)
            for parser in parsers:
                parser(source, findings)
                if findings != Findings():
                    break
    return MediaFacts(findings.width, findings.height, findings.duration_s)


def _parsers(path: Path, head: bytes) -> Iterator[Parser]:
    """Yield the parsers for the signature and for the extension of a file, in the order in which they are tried."""
    for offset, signature, parser in SIGNATURES:
        if head.startswith(signature, offset):
            yield parser
    by_extension = BY_EXTENSION.get(path.suffix.lower())
    if by_extension is not None:
        yield by_extension
