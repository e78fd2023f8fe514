"""One long string on its way from the body to a file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path

import orjson

from worker.bodies.json_error import piece
from worker.bodies.limits import BodyLimits


class BadString(Exception):
    """The string is not JSON. `offset` counts the characters of the body from the string's first one.

    `near` is the text around the place.
    """

    def __init__(self, message: str, offset: int, near: str) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.near = near


class LongString:
    """Takes the string as it is written in JSON, holds at most one piece, and writes the text in UTF-8.

    `add` and `end` compute; `flush` writes and is called in a thread. No file is made for a text of up to
    `limits.text` bytes, which had its length from escapes: it is found in `short` after `end`.
    """

    def __init__(self, new_path: Callable[[], Path], limits: BodyLimits, beginning: bytearray) -> None:
        self.characters = 0
        """Characters of the body that were read, escapes as they are written there."""
        self.size = 0
        """Bytes of the text."""
        self.path: Path | None = None
        self._new_path = new_path
        self._keep = limits.text
        self._piece = limits.piece
        self._json = beginning
        """Not decoded yet. The beginning may end inside a character; its end is in the first part that is added."""
        self._unwritten: list[bytes] = []
        self._file: BufferedWriter | None = None
        self._hash = hashlib.sha256()
        self._ended = False

    @property
    def short(self) -> str | None:
        """The text, where it is too short for a file."""
        return b"".join(self._unwritten).decode() if self.size <= self._keep else None

    @property
    def sha256(self) -> str:
        """Of the text in UTF-8, once it is written."""
        return self._hash.hexdigest()

    @property
    def has_pending_writes(self) -> bool:
        return self.size > self._keep and bool(self._unwritten or (self._ended and self._file))

    def add(self, json: bytes) -> None:
        """Take a part that ends between characters. Raises BadString."""
        self._json += json
        if len(self._json) >= self._piece:
            self._decode()

    def end(self) -> None:
        """Take note that the string is complete. Raises BadString."""
        self._decode()
        self._ended = True

    def flush(self) -> None:
        """Write what has been decoded, and close the file after the end. Raises OSError."""
        if self.path is None:
            self.path = self._new_path()
            self._file = self.path.open("wb")
        if self._file is None:
            return
        unwritten, self._unwritten = self._unwritten, []
        for text in unwritten:
            self._file.write(text)
            self._hash.update(text)
        if self._ended:
            self.close()

    def close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _decode(self) -> None:
        """Let orjson read the part as a string of its own: what it accepts here is what it accepts in one piece."""
        json = bytes(self._json)
        self._json.clear()
        try:
            text: str = orjson.loads(b'"%b"' % json)
        except orjson.JSONDecodeError as error:
            raise self._bad(json, error) from None
        self.characters += len(json) if json.isascii() else len(json.decode())
        utf8 = text.encode()
        self.size += len(utf8)
        self._unwritten.append(utf8)

    def _bad(self, json: bytes, error: orjson.JSONDecodeError) -> BadString:
        """orjson gives no position for bytes that are not UTF-8."""
        try:
            json.decode()
            offset = error.pos - 1
        except UnicodeDecodeError as undecodable:
            offset = len(json[: undecodable.start].decode())
        return BadString(error.msg, self.characters + offset, piece(json.decode(errors="replace"), offset))
