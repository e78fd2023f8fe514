"""Incremental scanner that writes the long strings of a JSON body to files and keeps the rest as JSON."""

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
"""Value of `_string_start` outside of strings."""


class BodyScanner:
    """Reads a JSON body in chunks of any size.

    `feed` and `finish` only compute, and take about 1 ms per 256 KiB. `flush` writes to the files. Call it in a thread
    after each `feed`. `finish` returns the JSON in which each long string is a placeholder that no client can guess.

    The scanner only looks for the ends of strings. A string is long if a window of `limits.text` bytes has no closing
    quote, so the Python code runs at most twice per window, however many short strings there are. orjson checks
    everything else: errors outside long strings remain in the skeleton.
    """

    def __init__(self, folder: SpoolFolder, limits: BodyLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._total = 0
        self._incomplete = b""
        """Beginning of a character whose end has not arrived."""
        self._json = bytearray()
        self._string_start = OUTSIDE
        """Index in `_json` at which the content of the open string begins."""
        self._counted_bytes = 0
        """Bytes of `_json` whose units are counted."""
        self._units = 0
        self._long_string: LongString | None = None
        self._unwritten: list[LongString] = []
        self._replacements: list[Replacement] = []
        self._nonce = secrets.token_hex(12)

    def feed(self, chunk: bytes) -> None:
        """Scan a chunk. Raises BodyTooLarge or InvalidJson."""
        self._total += len(chunk)
        self._limits.check_total(self._total)
        for start in range(0, len(chunk), self._limits.piece):
            json = self._incomplete + chunk[start : start + self._limits.piece]
            masked = mask_escapes(json)
            end = complete_length(json, masked)
            self._incomplete = json[end:]
            self._scan(json, masked, end)
            self._check_cost()

    def finish(self) -> JsonSkeleton:
        """Return the JSON without its long strings. Raises BodyTooLarge or InvalidJson."""
        self._scan(self._incomplete, mask_escapes(self._incomplete), len(self._incomplete))
        if self._long_string is not None:
            self._end_long(self._long_string)  # it has no closing quote, which orjson will report
        self._string_start = OUTSIDE
        self._check_cost()
        return JsonSkeleton(bytes(self._json), self._replacements)

    @property
    def has_pending_writes(self) -> bool:
        """Whether `flush` has something to write."""
        return any(string.has_pending_writes for string in self._unwritten)

    def flush(self) -> None:
        """Write the decoded parts of long strings. Blocks. Raises OSError."""
        for string in self._unwritten:
            if string.has_pending_writes:
                string.flush()
        self._unwritten = (
            [self._long_string] if self._long_string else []
        )  # only the string that is still open gets more parts

    def close(self) -> None:
        """Close the files of strings that were not read to their end."""
        for string in self._unwritten:
            with suppress(OSError):  # closing cannot write what could not be written before
                string.close()

    def _scan(self, json: bytes, masked: bytes, end: int) -> None:
        """Scan `json` up to `end`. `masked` is `mask_escapes(json)`."""
        index = 0
        while index < end:
            if self._long_string is None:
                index = self._scan_window(json, masked, index, end)
            else:
                index = self._scan_long(self._long_string, json, masked, (index, end))

    def _scan_window(self, json: bytes, masked: bytes, index: int, end: int) -> int:
        """Copy JSON from `index` up to the last quote in the window, or all of it. Return the index after that.

        The window ends where the open string becomes a long one.
        """
        in_string = self._string_start != OUTSIDE
        open_length = len(self._json) - self._string_start if in_string else 0
        stop = min(end, index + self._limits.text + 1 - open_length)
        last_quote = masked.rfind(b'"', index, stop)
        if last_quote >= 0:
            in_string ^= bool(masked.count(b'"', index, last_quote + 1) % 2)  # each quote begins or ends a string
            self._json += json[index : last_quote + 1]
            self._string_start = len(self._json) if in_string else OUTSIDE
            return last_quote + 1
        self._json += json[index:stop]
        if in_string and len(self._json) - self._string_start > self._limits.text:
            self._begin_long()
        return stop

    def _begin_long(self) -> None:
        """Begin a long string with the content of the open string."""
        self._long_string = LongString(self._folder.new_path, self._limits, self._json[self._string_start :])
        self._unwritten.append(self._long_string)
        del self._json[self._string_start :]

    def _scan_long(self, string: LongString, json: bytes, masked: bytes, span: tuple[int, int]) -> int:
        """Add JSON to the long string up to its closing quote, or all of it. Return the index after the added part.

        `span` is the begin and the end of the JSON to scan.
        """
        index, end = span
        quote = masked.find(b'"', index, end)
        self._add(string, json[index : end if quote < 0 else quote])
        if quote < 0:
            return end
        self._end_long(string)
        self._json += b'"'
        self._string_start = OUTSIDE
        return quote + 1

    def _add(self, string: LongString, json: bytes) -> None:
        """Add JSON to the long string. Raises InvalidJson."""
        try:
            string.add(json)
        except BadString as error:
            raise self._skeleton().error(error.message, self._string_start, error) from None

    def _end_long(self, string: LongString) -> None:
        """End the long string, and append its placeholder, or its text if that is short after decoding."""
        try:
            string.end()
        except BadString as error:
            raise self._skeleton().error(error.message, self._string_start, error) from None
        short_text = string.short_text
        if short_text is None:
            replacement_text, long_string = f"{self._nonce}-{len(self._replacements)}", string
        else:
            replacement_text, long_string = orjson.dumps(short_text).decode()[1:-1], None  # without its quotes
            self._unwritten.remove(string)
        self._replacements.append(Replacement(self._string_start, replacement_text, string.characters, long_string))
        self._json += replacement_text.encode()
        self._long_string = None

    def _skeleton(self) -> JsonSkeleton:
        """Return the JSON that was read so far, with placeholders for its long strings."""
        return JsonSkeleton(bytes(self._json), self._replacements)

    def _check_cost(self) -> None:
        """Raise BodyTooLarge if parsing would cost too much.

        The open string does not count, because it may become a long one.
        """
        json = self._json
        end = len(json) if self._string_start == OUTSIDE else self._string_start
        self._units += parse_units(json, self._counted_bytes, end)
        self._counted_bytes = end
        self._limits.check_skeleton(end, self._units)
