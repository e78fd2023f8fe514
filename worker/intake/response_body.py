"""JSON response bodies in which large files are encoded only while they are sent."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from mmap import PROT_READ, mmap
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from worker.bodies import in_thread

SMALL = 256 * 1024
"""Largest file in bytes that is read and encoded on the event loop. A thread would take longer."""
PIECE = 1536 * 1024
"""Bytes of a file that are encoded and sent at a time. A multiple of 3, so that only the end has padding."""
LARGEST_CACHED = 12 * 1024 * 1024
"""Largest file in bytes whose base64 is kept in memory. The native dialect has the first image twice in a response."""


@dataclass(slots=True)
class EncodedFile:
    """A file that is sent as base64. `size` is that of the file, in bytes."""

    path: Path
    size: int
    _cached_pieces: list[bytes] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Characters of the base64, which has four for every three bytes, with padding."""
        return (self.size + 2) // 3 * 4

    async def pieces(self, file: BinaryIO) -> AsyncIterator[bytes]:
        """Yield the base64 of the open file, from memory if it was encoded before.

        Raises OSError if its size has changed.
        """
        for piece in self._cached_pieces:
            yield piece
        if self._cached_pieces:
            return
        pieces = []
        for offset in range(0, self.size, PIECE):
            piece = await in_thread(partial(self._encode_piece, file, offset))
            if self.size <= LARGEST_CACHED:
                pieces.append(piece)
            yield piece
        self._cached_pieces = pieces

    def _encode_piece(self, file: BinaryIO, offset: int) -> bytes:
        """Return the base64 of one piece of the file."""
        with mmap(file.fileno(), 0, prot=PROT_READ) as data:
            if len(data) != self.size:
                raise OSError(f"{self.path} has changed since the job ended, so it cannot be sent")
            with memoryview(data) as view, view[offset : offset + PIECE] as piece:
                return encode_base64(piece)


def encode_base64(data: bytes | memoryview) -> bytes:
    """Return base64 without line breaks."""
    import pybase64

    base64: bytes = pybase64.b64encode(data)
    return base64


@dataclass(slots=True)
class LargeFiles:
    """Files of a response that are encoded while it is sent. `files` are by the placeholder in its body."""

    files: dict[str, EncodedFile] = field(default_factory=dict)
    _nonce: str = field(default_factory=lambda: secrets.token_hex(12))

    def add(self, path: Path, size: int) -> str:
        """Add a file, and return the placeholder for its base64. Raises FileNotFoundError."""
        path.stat()  # raises if the file does not exist
        placeholder = f"{self._nonce}-{len(self.files)}"
        self.files[placeholder] = EncodedFile(path, size)
        return placeholder


class ResponseBody:
    """A JSON body with placeholders for large files. `pieces` and `json` read the files, each time they are called."""

    def __init__(self, value: Any, files: Mapping[str, EncodedFile] | None = None) -> None:  # noqa: ANN401 - JSON
        self.value = value
        """The JSON value with placeholders."""
        self.files = files or {}
        self._parts = list(_split(orjson.dumps(value), self.files))

    @property
    def size(self) -> int:
        """Bytes of the JSON with the files."""
        return sum(part.length if isinstance(part, EncodedFile) else len(part) for part in self._parts)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the JSON in pieces. Raises OSError if a file is missing at the start, or has changed."""
        with ExitStack() as stack:
            # All files are opened first: a result may expire while a slow client reads a large response.
            open_files = {file.path: stack.enter_context(file.path.open("rb")) for file in self.files.values()}
            for part in self._parts:
                if isinstance(part, EncodedFile):
                    async for piece in part.pieces(open_files[part.path]):
                        yield piece
                else:
                    yield part

    async def json(self) -> bytes:
        """Return the whole JSON."""
        return b"".join([piece async for piece in self.pieces()])


def _split(json: bytes, files: Mapping[str, EncodedFile]) -> Iterator[bytes | EncodedFile]:
    """Yield the parts of the JSON, with the file in place of each placeholder.

    Placeholders are plain ASCII, so JSON does not escape them.
    """
    if not files:
        yield json
        return
    placeholder = b"(%b)" % b"|".join(map(str.encode, files))
    for index, part in enumerate(re.split(placeholder, json)):
        is_placeholder = index % 2 == 1  # re.split returns text and matches of the group in turn
        yield files[part.decode()] if is_placeholder else part
