"""The JSON of an answer, in which large files are encoded only while it is sent."""

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
"""Up to this many bytes, reading and encoding here takes less time than handing it to a thread."""
PIECE = 1536 * 1024
"""Bytes of a file that are encoded and sent at a time: a multiple of 3, so that only the end has padding."""
KEPT = 12 * 1024 * 1024
"""Bytes up to which the base64 of a file is kept, because the native dialect has the first picture twice."""


@dataclass(slots=True)
class EncodedFile:
    """A file that goes into the answer as base64. `size` is the file's, in bytes."""

    path: Path
    size: int
    _kept: list[bytes] = field(default_factory=list)

    @property
    def length(self) -> int:
        """Characters of the base64."""
        return (self.size + 2) // 3 * 4

    async def pieces(self, file: BinaryIO) -> AsyncIterator[bytes]:
        """Yield the base64 of the opened file. Raises OSError where it is not what it was."""
        for piece in self._kept:
            yield piece
        if self._kept:
            return
        pieces = []
        for offset in range(0, self.size, PIECE):
            piece = await in_thread(partial(self._encoded, file, offset))
            if self.size <= KEPT:
                pieces.append(piece)
            yield piece
        self._kept = pieces

    def _encoded(self, file: BinaryIO, offset: int) -> bytes:
        with mmap(file.fileno(), 0, prot=PROT_READ) as data:
            if len(data) != self.size:
                raise OSError(f"{self.path} has changed")
            with memoryview(data) as view, view[offset : offset + PIECE] as piece:
                return encoded(piece)


def encoded(data: bytes | memoryview) -> bytes:
    """Return base64 without newlines."""
    import pybase64

    found: bytes = pybase64.b64encode(data)
    return found


@dataclass(slots=True)
class LargeFiles:
    """The files of an answer that are not in memory, by the string that stands for each in the body."""

    files: dict[str, EncodedFile] = field(default_factory=dict)
    _nonce: str = field(default_factory=lambda: secrets.token_hex(12))

    def add(self, path: Path, size: int) -> str:
        """Return the string that has to stand where the base64 of this file goes. Raises FileNotFoundError."""
        path.stat()
        stands = f"{self._nonce}-{len(self.files)}"
        self.files[stands] = EncodedFile(path, size)
        return stands


class ResponseBody:
    """A JSON body. Only `pieces` and `json` read the large files, as often as they are called."""

    def __init__(self, value: Any, files: Mapping[str, EncodedFile] | None = None) -> None:  # noqa: ANN401 - JSON
        self.value = value
        """With short strings in the place of large files."""
        self.files = files or {}
        self._parts = list(_split(orjson.dumps(value), self.files))

    @property
    def size(self) -> int:
        """Bytes of the JSON, files included."""
        return sum(part.length if isinstance(part, EncodedFile) else len(part) for part in self._parts)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the JSON bit by bit. Raises OSError where a file is gone before the first bit, or has changed."""
        with ExitStack() as stack:
            # Opened before anything is sent: a result may expire while a slow client reads a large answer.
            opened = {file.path: stack.enter_context(file.path.open("rb")) for file in self.files.values()}
            for part in self._parts:
                if isinstance(part, EncodedFile):
                    async for piece in part.pieces(opened[part.path]):
                        yield piece
                else:
                    yield part

    async def json(self) -> bytes:
        """Return the JSON."""
        return b"".join([piece async for piece in self.pieces()])


def _split(json: bytes, files: Mapping[str, EncodedFile]) -> Iterator[bytes | EncodedFile]:
    """Cut at the strings that stand for files, which are plain ASCII and so are written as they are."""
    if not files:
        yield json
        return
    for number, part in enumerate(re.split(b"(%b)" % b"|".join(map(str.encode, files)), json)):
        yield files[part.decode()] if number % 2 else part
