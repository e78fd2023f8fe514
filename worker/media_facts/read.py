"""Selection of the parser for a file: by its first bytes, or by its extension for formats without a signature."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from worker.media_facts import audio, ogg, still
from worker.media_facts.animated import gif, png
from worker.media_facts.iso import iso
from worker.media_facts.matroska import matroska
from worker.media_facts.riff import riff
from worker.media_facts.source import Findings, MediaFacts, MediaSource, Unreadable

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


def media_facts(path: Path, head: bytes) -> MediaFacts:
    """Return the facts in the headers of a file. `head` is the beginning of the file.

    It never raises, and reads a limited part of the file. A still image has no duration. Of a damaged file, the facts
    before the damage are returned.
    """
    findings, parsers = Findings(), list(_parsers(path, head))
    if parsers:
        with suppress(*PARSER_ERRORS), path.open("rb", buffering=0) as file:
            _parse(file, head, os.fstat(file.fileno()).st_size, parsers, findings)
    return findings.facts()


def media_facts_of_bytes(name: str, data: bytes) -> MediaFacts:
    """Return the facts in the headers of a file in memory. It never raises."""
    findings = Findings()
    with suppress(*PARSER_ERRORS):
        _parse(BytesIO(data), data, len(data), list(_parsers(Path(name), data)), findings)
    return findings.facts()


def _parse(file: BinaryIO, head: bytes, size: int, parsers: Sequence[Parser], findings: Findings) -> None:
    """Set the facts of a file by the first parser that finds any. Raises one of PARSER_ERRORS."""
    source = MediaSource(file, head, size)
    for parser in parsers:
        parser(source, findings)
        if findings != Findings():
            break


def _parsers(path: Path, head: bytes) -> Iterator[Parser]:
    """Yield the parsers for the signature and for the extension of a file, in the order in which they are tried."""
    for offset, signature, parser in SIGNATURES:
        if head.startswith(signature, offset):
            yield parser
    by_extension = BY_EXTENSION.get(path.suffix.lower())
    if by_extension is not None:
        yield by_extension
