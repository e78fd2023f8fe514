"""The encodings in which JSON arrives: UTF-8 with or without a byte order mark, UTF-16, and what a header declares."""

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
"""JSON begins with a character of ASCII, so that zeros among the first bytes show the encoding (RFC 4627)."""
DECLARED = re.compile(
    r"iso8859-\d+|cp\d+|koi8-[rtu]|mac-\w+|gbk|gb2312|gb18030|big5(hkscs)?|(shift_jis|euc_)\w*", re.IGNORECASE
)
"""Encodings that are taken from a header. Others are UTF-8, whatever it says, or show in the first bytes."""
AFTER_THE_END = b" \t\r\n\0\x1a"
"""What tools leave behind JSON: line ends, the zero of a C string, the end-of-file mark of DOS."""
LONGEST_TAIL = 64 * KIB


def encoding_of(head: bytes, declared: str = "") -> tuple[str, int]:
    """Return the encoding of JSON that begins with these bytes, four or more, and the length of its mark."""
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding, len(mark)
    for pattern, encoding in WITHOUT_MARK:
        if pattern.match(head):
            return encoding, 0
    try:
        known = codecs.lookup(declared.strip()).name if declared.strip() else UTF_8
    except (LookupError, ValueError):
        return UTF_8, 0
    return (known if DECLARED.fullmatch(known) else UTF_8), 0


class Utf8Text:
    """Turns JSON in any of these encodings into UTF-8, a chunk at a time, without what follows its end.

    Text that is UTF-8 passes as it is, valid or not: the parser names the place of a bad byte.
    """

    def __init__(self, declared: str = "") -> None:
        """`declared` is the `charset` of a Content-Type header."""
        self._declared = declared
        self._head: bytes | None = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._tail = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the text so far. Raises InvalidJson for bytes that the encoding does not have."""
        if self._head is not None:
            self._head += chunk
            if len(self._head) < 4:
                return b""
            chunk = self._begun(self._head)
        return self._without_tail(self._decoded(chunk))

    def finish(self) -> bytes:
        """Return the rest. Raises InvalidJson."""
        text = self._decoded(self._begun(self._head) if self._head else b"", final=True)
        text = self._tail + text
        return text if b"\0" not in text and b"\x1a" not in text else text.rstrip(AFTER_THE_END)

    def _begun(self, head: bytes) -> bytes:
        encoding, mark = encoding_of(head, self._declared)
        self._head = None
        if encoding != UTF_8:
            self._decoder = codecs.getincrementaldecoder(encoding)()
        return head[mark:]

    def _decoded(self, chunk: bytes, *, final: bool = False) -> bytes:
        if self._decoder is None:
            return chunk
        try:
            return self._decoder.decode(chunk, final).encode()
        except UnicodeError as error:
            raise InvalidJson(
                f"the body is not in the encoding {self._declared or 'that it begins in'}: {error}"
            ) from None

    def _without_tail(self, text: bytes) -> bytes:
        """Keep back what may follow the end."""
        if text[-1:] not in AFTER_THE_END:  # also where it is empty
            text, self._tail = self._tail + text, b""
            return text
        kept = text.rstrip(AFTER_THE_END)
        before, self._tail = self._tail, text[len(kept) :]
        if kept:
            return before + kept
        self._tail = before + self._tail
        if len(self._tail) > LONGEST_TAIL:
            kept, self._tail = self._tail, b""
        return kept


async def utf8_chunks(chunks: AsyncIterator[bytes], declared: str = "") -> AsyncIterator[bytes]:
    """Yield the text in UTF-8 as it arrives. Raises InvalidJson."""
    text = Utf8Text(declared)
    async for chunk in chunks:
        if piece := text.feed(chunk):
            yield piece
    if piece := text.finish():
        yield piece


def utf8_text(data: bytes, declared: str = "") -> bytes:
    """Return JSON that is here whole in UTF-8. Raises InvalidJson."""
    text = Utf8Text(declared)
    return text.feed(data) + text.finish()
