"""One member of a JSON object, found in the beginning of the object while the rest has not come yet."""

from __future__ import annotations

import json
import re
from itertools import islice
from typing import Any

from worker.bodies.cuts import mask_escapes

STRING = re.compile(rb'"[^"]*"')
OPENS = re.compile(rb"[ \t\r\n]*\{")
COLON = re.compile(rb"[ \t\r\n]*:[ \t\r\n]*")
MOST_KEYS = 100
"""Members of the name, at any depth, that are looked at. No client sends another one than at the top."""
DECODER = json.JSONDecoder()


class MemberSearch:
    """Finds the first member of a name at the top level, also where its name is written with escapes.

    `find` is called again as the text grows. It computes in proportion to the text, whatever that is: brackets are
    counted in C, and nothing is parsed but the member's value. It does not check that the text is JSON.
    """

    def __init__(self, name: str) -> None:
        letters = (rb"(?:%s|\\u(?i:%04x))" % (re.escape(letter).encode(), ord(letter)) for letter in name)
        self._key = re.compile(b'"' + b"".join(letters) + b'"')

    def find(self, text: bytes) -> tuple[Any] | None:
        """Return the value, in a tuple; None while it is not there as a whole."""
        if not OPENS.match(text):
            return None
        plain = mask_escapes(text)
        depth = at = 0
        for key in islice(self._key.finditer(plain), MOST_KEYS):
            between = STRING.sub(b"", plain[at : key.start()])
            if b'"' in between:  # what looks like a key begins at the end of another string, as in no JSON
                return None
            depth += between.count(b"{") + between.count(b"[") - between.count(b"}") - between.count(b"]")
            at = key.end()
            if depth == 1 and (colon := COLON.match(plain, at)):
                return _value(text[colon.end() :])
        return None


def _value(text: bytes) -> tuple[Any] | None:
    try:
        value, end = DECODER.raw_decode(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    # A number at the end of the text may go on; what is read as an object or a string is whole.
    return (value,) if isinstance(value, dict | str) or end < len(text) else None
