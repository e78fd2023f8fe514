"""Base64 in the forms that clients send: wrapped lines, no padding, the URL-safe alphabet, after a data URI's head.

JSON that was escaped twice leaves `\\n`, `\\/` and `\\u002B` in a text. Base64 has no backslash, so that each has one
meaning.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

WHITESPACE = b" \t\r\n\v\f\0"
STANDARD = bytes.maketrans(b"-_", b"+/")
UNFINISHED_ESCAPE = re.compile(rb"(?:%[0-9A-Fa-f]?|\\+(?:u[0-9A-Fa-f]{0,3})?)\Z")
JSON_ESCAPE = re.compile(rb"\\+(?:([nrtfb/])|u00([0-9A-Fa-f]{2}))")
ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"f": b"\f", b"b": b"", b"/": b"/"}
HEAD = r'\s*data:\s*([\w.+-]+\\*/[\w.+-]+)?(?:;(?:"[^"]*"|[^;,"])*)*?;\s*base64\s*,'
"""The head of a data URI, with any parameters (`;charset=utf-8;name="a, b.png"`)."""
DATA_URI = re.compile(HEAD, re.ASCII | re.IGNORECASE)
DATA_URI_BYTES = re.compile(HEAD.encode(), re.IGNORECASE)


class Base64Decoder:
    """Decodes base64 that arrives in parts of any size. Raises ValueError; then the text is no base64.

    Text in the standard form costs nothing but its decoding: a part is cleaned only where it can't be decoded as it is.
    """

    def __init__(self) -> None:
        self._escape = b""
        """An escape of a URL or of JSON whose end has not come yet."""
        self._group = b""
        """A group of four characters whose end has not come yet, cleaned."""
        self._padded = False

    def feed(self, part: bytes) -> bytes:
        """Return what can be decoded so far."""
        part, self._escape = self._escape + part, b""
        if not self._padded and b"=" not in part:
            text = self._group + part
            whole = len(text) // 4 * 4
            try:
                decoded = _decode(text[:whole])
            except ValueError:
                pass  # not in the standard form
            else:
                self._group = self._cleaned(text[whole:])
                return decoded
        text = self._group + self._cleaned(part)
        whole = len(text) // 4 * 4
        self._group = text[whole:]
        return _decode(text[:whole])

    def finish(self) -> bytes:
        """Return the rest."""
        if self._escape or len(self._group) == 1:
            raise ValueError("the text ends inside a group of 4 characters: a part of it is missing")
        return _decode(self._group + b"=" * (-len(self._group) % 4))

    def _cleaned(self, part: bytes) -> bytes:
        """Return the characters in the standard alphabet, without padding."""
        unfinished = UNFINISHED_ESCAPE.search(part)
        end = unfinished.start() if unfinished else len(part)
        self._escape = part[end:]
        text = unquote_to_bytes(part[:end])
        if b"\\" in text:
            text = JSON_ESCAPE.sub(_unescaped, text)
        data, padding, after = text.translate(STANDARD, WHITESPACE).partition(b"=")
        if after.strip(b"=") or (self._padded and data):
            raise ValueError("there is text after the padding")
        self._padded |= bool(padding)
        return data


def decode_base64(text: str) -> bytes:
    """Return what base64 or a data URI holds. Raises ValueError."""
    uri = DATA_URI.match(text)
    decoder = Base64Decoder()
    return decoder.feed(text[uri.end() if uri else 0 :].encode()) + decoder.finish()


def _unescaped(escape: re.Match[bytes]) -> bytes:
    return ESCAPED[escape[1]] if escape[1] else bytes.fromhex(escape[2].decode())


def _decode(text: bytes) -> bytes:
    import pybase64

    found: bytes = pybase64.b64decode(text, validate=True)
    return found
