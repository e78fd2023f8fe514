"""One long string, decoded and written to a file while it arrives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from io import BufferedWriter
from pathlib import Path

import orjson

from worker.bodies.json_error import excerpt
from worker.bodies.limits import BodyLimits


class BadString(Exception):
    """The string is not valid JSON.

    `offset` counts the characters of the body from the first one of the string. `near` is the text around the error.
    """

    def __init__(self, message: str, offset: int, near: str) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.near = near


class LongString:
    """Decodes a JSON string part by part, and writes its text to a file in UTF-8. Holds at most one piece in memory.

    `add` and `end` only compute. `flush` writes, and is called in a thread. Escapes can make a short text long in JSON:
    a text of up to `limits.text` bytes gets no file, and is in `short_text` after `end`.
    """

    def __init__(self, new_path: Callable[[], Path], limits: BodyLimits, beginning: bytearray) -> None:
        self.characters = 0
        """Characters read from the body, with escapes as they are written there."""
        self.size = 0
        """Bytes of the decoded text in UTF-8."""
        self.path: Path | None = None
        self._new_path = new_path
        self._longest_short = limits.text
        self._piece = limits.piece
        self._json = beginning
        """JSON that is not decoded yet. The first part may end inside a character."""
        self._unwritten: list[bytes] = []
        self._file: BufferedWriter | None = None
        self._hash = hashlib.sha256()
        self._ended = False

    @property
    def short_text(self) -> str | None:
        """The text, if it is too short for a file, else None."""
        return b"".join(self._unwritten).decode() if self.size <= self._longest_short else None

    @property
    def sha256(self) -> str:
        """SHA-256 of the text in UTF-8, once all of it is written."""
        return self._hash.hexdigest()

    @property
    def has_pending_writes(self) -> bool:
        """Whether `flush` has text to write or a file to close."""
        is_short = self.size <= self._longest_short
        return not is_short and bool(self._unwritten or (self._ended and self._file))

    def add(self, json: bytes) -> None:
        """Add a part that ends between characters. Raises BadString."""
        self._json += json
        if len(self._json) >= self._piece:
            self._decode()

    def end(self) -> None:
        """Mark the string as complete. Raises BadString."""
        self._decode()
        self._ended = True

    def flush(self) -> None:
        """Write the decoded text, and close the file if the string is complete. Raises OSError."""
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
        """Close the file if it is open."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()

    def _decode(self) -> None:
        """Decode the JSON that was collected since the last call, as if it were a whole string.

        No part ends inside an escape or a character, so all parts are valid exactly if orjson would accept the whole
        string.
        """
        json = bytes(self._json)
        self._json.clear()
        try:
            text: str = orjson.loads(b'"%b"' % json)
        except orjson.JSONDecodeError as error:
            raise self._bad_string(json, error) from None
        self.characters += len(json) if json.isascii() else len(json.decode())
        utf8 = text.encode()
        self.size += len(utf8)
        self._unwritten.append(utf8)

    def _bad_string(self, json: bytes, error: orjson.JSONDecodeError) -> BadString:
        """Return the error with its offset in the string. orjson has no position for bytes that are not UTF-8."""
        try:
            json.decode()
            offset = error.pos - 1  # without the quote that `_decode` puts before the JSON
        except UnicodeDecodeError as undecodable:
            offset = len(json[: undecodable.start].decode())
        return BadString(error.msg, self.characters + offset, excerpt(json.decode(errors="replace"), offset))
