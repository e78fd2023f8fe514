r"""Base64 in the forms that clients send.

These are wrapped lines, missing padding, the URL-safe alphabet, percent escapes, and text after the head of a data URI.
JSON that was escaped twice leaves `\n`, `\/` and `\u002B` in the text. Base64 contains no backslash, so these escapes
are unambiguous.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

WHITESPACE = b" \t\r\n\v\f\0"
STANDARD = bytes.maketrans(b"-_", b"+/")
UNFINISHED_ESCAPE = re.compile(rb"(?:%[0-9A-Fa-f]?|\\+(?:u[0-9A-Fa-f]{0,3})?)\Z")
JSON_ESCAPE = re.compile(rb"\\+(?:([nrtfb/])|u00([0-9A-Fa-f]{2}))")
ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"f": b"\f", b"b": b"", b"/": b"/"}
SPACE = re.compile(rb"(?<=[A-Za-z0-9/]) (?=[A-Za-z0-9/])")
SHORTEST_SPACED = 64
"""Characters of the shortest text whose spaces are checked."""
HEAD = r'\s*data:\s*([\w.+-]+\\*/[\w.+-]+)?(?:;(?:"[^"]*"|[^;,"])*)*?;\s*base64\s*,'
"""Pattern of the head of a data URI with any parameters: `data:image/png;charset=utf-8;name="a, b.png";base64,`."""
DATA_URI = re.compile(HEAD, re.ASCII | re.IGNORECASE)
DATA_URI_BYTES = re.compile(HEAD.encode(), re.IGNORECASE)


class Base64Decoder:
    """Decodes base64 that arrives in parts of any size. Raises ValueError if the text is not base64.

    A part in the standard form is decoded as it is. Only other parts are cleaned first, which is slower.
    """

    def __init__(self) -> None:
        self._escape = b""
        """Beginning of a percent or JSON escape whose end has not arrived."""
        self._group = b""
        """Beginning of a group of four cleaned characters whose end has not arrived."""
        self._padded = False

    def feed(self, part: bytes) -> bytes:
        """Add a part. Return the decoded bytes of all groups of four characters that are complete now."""
        part, self._escape = self._escape + part, b""
        if not self._padded and b"=" not in part:
            text = self._group + part
            complete_length = len(text) // 4 * 4
            try:
                decoded = _decode(text[:complete_length])  # fast, and fails unless the part is in the standard form
            except ValueError:
                pass
            else:
                self._group = self._cleaned(text[complete_length:])
                return decoded
        text = self._group + self._cleaned(part)
        complete_length = len(text) // 4 * 4
        self._group = text[complete_length:]
        return _decode(text[:complete_length])

    def finish(self) -> bytes:
        """Return the remaining bytes. Raises ValueError if the text is incomplete."""
        if self._escape or len(self._group) == 1:
            raise ValueError("the text ends inside a group of 4 characters, so its end is missing")
        padding = b"=" * (-len(self._group) % 4)
        return _decode(self._group + padding)

    def _cleaned(self, part: bytes) -> bytes:
        """Return the characters of a part in the standard alphabet, without padding, whitespace and escapes.

        An unfinished escape at the end is stored for the next part. Raises ValueError for text after the padding.
        """
        unfinished = UNFINISHED_ESCAPE.search(part)
        end = unfinished.start() if unfinished else len(part)
        self._escape = part[end:]
        text = unquote_to_bytes(part[:end])
        if b"\\" in text:
            text = JSON_ESCAPE.sub(_unescaped, text)
        _check_spaces(text)
        data, padding, after_padding = text.translate(STANDARD, WHITESPACE).partition(b"=")
        if after_padding.strip(b"=") or (self._padded and data):
            raise ValueError("there is text after the padding")
        self._padded |= bool(padding)
        return data


def decode_base64(text: str) -> bytes:
    """Decode base64 or a data URI. Raises ValueError for other text."""
    uri = DATA_URI.match(text)
    decoder = Base64Decoder()
    return decoder.feed(text[uri.end() if uri else 0 :].encode()) + decoder.finish()


def _check_spaces(text: bytes) -> None:
    """Raise ValueError if the spaces were `+` before an HTML form decoded them.

    Spaces of wrapped lines are accepted. They have the same distance from each other. Only the distances between the
    first and the last space are compared, because the text may begin or end inside a line.
    """
    if b" " not in text or len(text) < SHORTEST_SPACED:
        return
    if any(sign in text for sign in (b"+", b"-", b"_", b"\n")):  # a form would have decoded `+` too
        return
    if len({len(line) for line in SPACE.split(text)[1:-1]}) > 1:
        raise ValueError("it has spaces in place of '+': send JSON, or encode '+' as %2B in a form")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    """Return the byte for a match of JSON_ESCAPE. It is empty for an escaped backspace."""
    return ESCAPED[escape[1]] if escape[1] else bytes.fromhex(escape[2].decode())


def _decode(text: bytes) -> bytes:
    """Decode base64 in the standard form. Raises ValueError."""
    import pybase64

    data: bytes = pybase64.b64decode(text, validate=True)
    return data
