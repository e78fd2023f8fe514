"""Encodings of JSON: UTF-8 with or without a byte order mark, UTF-16, UTF-32, and the charset of a header."""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncIterator

from worker.bodies.limits import KIB
from worker.errors import InvalidJson

UTF_8 = "utf-8"
MARKS = (
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
WITHOUT_MARK = (
    (re.compile(rb"\0\0\0[^\0]", re.DOTALL), "utf-32-be"),
    (re.compile(rb"[^\0]\0\0\0", re.DOTALL), "utf-32-le"),
    (re.compile(rb"\0[^\0]", re.DOTALL), "utf-16-be"),
    (re.compile(rb"[^\0]\0", re.DOTALL), "utf-16-le"),
)
"""Patterns of the first bytes by encoding.

JSON begins with an ASCII character, so zero bytes show the encoding (RFC 4627).
"""
DECLARED = re.compile(
    r"iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|gbk|gb2312|gb18030|big5(hkscs)?|(shift_jis|euc_)\w*", re.IGNORECASE
)
"""Encodings that are accepted from a header. With any other charset the text is read as UTF-8."""
TRAILING_BYTES = b" \t\r\n\0\x1a"
"""Bytes that tools append to JSON: line ends, the zero of a C string, and the DOS end-of-file mark."""
LONGEST_TRAILING = 64 * KIB
"""Bytes of such an ending that are held back at most."""


def encoding_of(head: bytes, declared: str = "") -> tuple[str, int]:
    """Return the encoding of JSON by its first four or more bytes, and the length of its byte order mark.

    `declared` is the charset of a header. It is used if the bytes do not show the encoding.
    """
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    for pattern, encoding in WITHOUT_MARK:
        if pattern.match(head):
            return encoding, 0
    try:
        codec = codecs.lookup(declared.strip()).name if declared.strip() else UTF_8
    except (LookupError, ValueError):
        return UTF_8, 0
    return (codec if DECLARED.fullmatch(codec) else UTF_8), 0


class Utf8Text:
    """Converts JSON in any of these encodings to UTF-8, chunk by chunk, and removes trailing bytes after its end.

    UTF-8 passes unchanged, valid or not. The JSON parser reports the position of an invalid byte.
    """

    def __init__(self, declared: str = "") -> None:
        """`declared` is the `charset` of a Content-Type header."""
        self._declared = declared
        self._head: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._trailing = b""
        """Trailing bytes that are held back. They are removed if the text ends with them."""

    def feed(self, chunk: bytes) -> bytes:
        """Return the text that is available so far. Raises InvalidJson for bytes that are invalid in the encoding."""
        if self._head is not None:
            self._head += chunk
            if len(self._head) < 4:
                return b""
            chunk = self._without_mark(self._head)
        return self._without_trailing(self._decoded(chunk))

    def finish(self) -> bytes:
        """Return the remaining text. Raises InvalidJson."""
        last_bytes = self._without_mark(self._head) if self._head else b""  # a text of less than four bytes
        text = self._trailing + self._decoded(last_bytes, final=True)
        has_invalid_bytes = b"\0" in text or b"\x1a" in text  # unlike these, whitespace is valid after JSON
        return text.rstrip(TRAILING_BYTES) if has_invalid_bytes else text

    def _without_mark(self, head: bytes) -> bytes:
        """Detect the encoding from the first bytes, and return them without the byte order mark."""
        encoding, mark_length = encoding_of(head, self._declared)
        self._head = None
        if encoding != UTF_8:
            self._decoder = codecs.getincrementaldecoder(encoding)()
        return head[mark_length:]

    def _decoded(self, chunk: bytes, *, final: bool = False) -> bytes:
        """Return a chunk in UTF-8. Raises InvalidJson."""
        if self._decoder is None:
            return chunk
        try:
            return self._decoder.decode(chunk, final).encode()
        except UnicodeError as error:
            raise InvalidJson(
                f"the body is not valid in the encoding {self._declared or 'that its first bytes show'}: {error}"
            ) from None

    def _without_trailing(self, text: bytes) -> bytes:
        """Return the text up to its trailing bytes, which are held back until other text follows them."""
        if not text:
            return b""
        content = text.rstrip(TRAILING_BYTES)
        if content:
            text_so_far, self._trailing = self._trailing + content, text[len(content) :]
            return text_so_far
        self._trailing += text
        if len(self._trailing) > LONGEST_TRAILING:
            text_so_far, self._trailing = self._trailing, b""
            return text_so_far
        return b""


async def utf8_chunks(chunks: AsyncIterator[bytes], declared: str = "") -> AsyncIterator[bytes]:
    """Yield chunks converted to UTF-8. Raises InvalidJson."""
    text = Utf8Text(declared)
    async for chunk in chunks:
        if piece := text.feed(chunk):
            yield piece
    if piece := text.finish():
        yield piece


def utf8_text(data: bytes, declared: str = "") -> bytes:
    """Convert complete JSON to UTF-8. Raises InvalidJson."""
    text = Utf8Text(declared)
    return text.feed(data) + text.finish()
