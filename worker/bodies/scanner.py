"""The incremental scanner: long strings of a JSON body become files, the rest stays JSON."""

from __future__ import annotations

import secrets
from contextlib import suppress

import orjson

from worker.bodies.cuts import complete_length, mask_escapes
from worker.bodies.folder import SpoolFolder
from worker.bodies.limits import BodyLimits, parse_units
from worker.bodies.long_string import BadString, LongString
from worker.bodies.skeleton import JsonSkeleton, Replacement

OUTSIDE = -1


class BodyScanner:
    """Reads a JSON body in chunks of any size.

    `feed` and `finish` compute, and hold the event loop for about 1 ms per 256 KiB. `flush` writes to the files; call
    it in a thread after each `feed`. `finish` returns the JSON in which each long string is a placeholder that no
    client can guess.

    Only the ends of strings are looked for. A string of more than `limits.text` bytes is one that has no closing quote
    in a window of that length, so the Python code runs twice per window, however many short strings it has. Everything
    else about JSON is orjson's: what is wrong outside long strings is still wrong in the rest.
    """

    def __init__(self, folder: SpoolFolder, limits: BodyLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._total = 0
        self._carry = b""
        """The beginning of a character whose end has not come yet."""
        self._json = bytearray()
        self._opened = OUTSIDE
        """Where the content of the open string begins in `_json`."""
        self._counted = 0
        self._units = 0
        self._long: LongString | None = None
        self._unwritten: list[LongString] = []
        self._replacements: list[Replacement] = []
        self._nonce = secrets.token_hex(12)

    def feed(self, chunk: bytes) -> None:
        """Raises BodyTooLarge, InvalidJson."""
        self._total += len(chunk)
        self._limits.check_total(self._total)
        for start in range(0, len(chunk), self._limits.piece):
            json = self._carry + chunk[start : start + self._limits.piece]
            plain = mask_escapes(json)
            end = complete_length(json, plain)
            self._carry = json[end:]
            self._scan(json, plain, end)
            self._count()

    def finish(self) -> JsonSkeleton:
        """Return the JSON without its long strings. Raises BodyTooLarge, InvalidJson."""
        self._scan(self._carry, mask_escapes(self._carry), len(self._carry))
        if self._long is not None:
            self._end_long(self._long)  # without its closing quote, which orjson will miss
        self._opened = OUTSIDE
        self._count()
        return JsonSkeleton(bytes(self._json), self._replacements)

    @property
    def has_pending_writes(self) -> bool:
        """True where `flush` has something to do."""
        return any(string.has_pending_writes for string in self._unwritten)

    def flush(self) -> None:
        """Write what is decoded of the long strings. Blocks. Raises OSError."""
        for string in self._unwritten:
            if string.has_pending_writes:
                string.flush()
        self._unwritten = [self._long] if self._long else []

    def close(self) -> None:
        """Close the files of strings that were not read to their end."""
        for string in self._unwritten:
            with suppress(OSError):  # what could not be written is not written by closing either
                string.close()

    def _scan(self, json: bytes, plain: bytes, end: int) -> None:
        at = 0
        while at < end:
            if self._long is None:
                at = self._scan_window(json, plain, at, end)
            else:
                at = self._scan_long(self._long, json, plain, (at, end))

    def _scan_window(self, json: bytes, plain: bytes, at: int, end: int) -> int:
        """Copy as much as shows whether the string that is open after it is long; return where that ends."""
        inside = self._opened != OUTSIDE
        length = len(self._json) - self._opened if inside else 0
        stop = min(end, at + self._limits.text + 1 - length)
        last = plain.rfind(b'"', at, stop)
        if last >= 0:
            inside ^= bool(plain.count(b'"', at, last + 1) % 2)
            self._json += json[at : last + 1]
            self._opened = len(self._json) if inside else OUTSIDE
            return last + 1
        self._json += json[at:stop]
        if inside and len(self._json) - self._opened > self._limits.text:
            self._begin_long()
        return stop

    def _begin_long(self) -> None:
        self._long = LongString(self._folder.new_path, self._limits, self._json[self._opened :])
        self._unwritten.append(self._long)
        del self._json[self._opened :]

    def _scan_long(self, string: LongString, json: bytes, plain: bytes, span: tuple[int, int]) -> int:
        at, end = span
        quote = plain.find(b'"', at, end)
        self._add(string, json[at : end if quote < 0 else quote])
        if quote < 0:
            return end
        self._end_long(string)
        self._json += b'"'
        self._opened = OUTSIDE
        return quote + 1

    def _add(self, string: LongString, json: bytes) -> None:
        try:
            string.add(json)
        except BadString as error:
            raise self._rest().error(error.message, self._opened, error) from None

    def _end_long(self, string: LongString) -> None:
        """Put in its place a placeholder, or the text where it is a short one after all."""
        try:
            string.end()
        except BadString as error:
            raise self._rest().error(error.message, self._opened, error) from None
        text = string.short
        standing = f"{self._nonce}-{len(self._replacements)}" if text is None else orjson.dumps(text).decode()[1:-1]
        spooled = string if text is None else None
        if text is not None:
            self._unwritten.remove(string)
        self._replacements.append(Replacement(self._opened, standing, string.characters, spooled))
        self._json += standing.encode()
        self._long = None

    def _rest(self) -> JsonSkeleton:
        return JsonSkeleton(bytes(self._json), self._replacements)

    def _count(self) -> None:
        """Count what takes time to parse, up to a string that is still open: it may become a long one."""
        json, start = self._json, self._counted
        end = len(json) if self._opened == OUTSIDE else self._opened
        self._units += parse_units(json, start, end)
        self._counted = end
        self._limits.check_skeleton(end, self._units)
