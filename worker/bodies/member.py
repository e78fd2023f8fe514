"""Search for one member of a JSON object of which only the beginning has arrived."""

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
"""Keys with the name, at any depth, that are examined. Real requests have at most a few."""
DECODER = json.JSONDecoder()


class MemberSearch:
    """Finds the first member with a name at the top level of an object. The name may contain escapes.

    `find` is called again as the text grows. Its time is linear in the length of any text: brackets are counted in C,
    and only the value of the member is parsed. It does not check that the text is valid JSON.
    """

    def __init__(self, name: str) -> None:
        # In JSON, each letter may be written as itself or as `\u` and its number.
        letters = (rb"(?:%s|\\u(?i:%04x))" % (re.escape(letter).encode(), ord(letter)) for letter in name)
        self._key = re.compile(b'"' + b"".join(letters) + b'"')

    def find(self, text: bytes) -> tuple[Any] | None:
        """Return the value of the member in a one-element tuple, or None if it is not complete or does not exist.

        The tuple distinguishes the value `null` from no value.
        """
        if not OPENS.match(text):
            return None
        masked = mask_escapes(text)
        depth = position = 0
        for key in islice(self._key.finditer(masked), MOST_KEYS):
            between = STRING.sub(b"", masked[position : key.start()])
            if b'"' in between:  # not JSON: the key begins where another string ends
                return None
            depth += between.count(b"{") + between.count(b"[") - between.count(b"}") - between.count(b"]")
            position = key.end()
            colon = COLON.match(masked, position)
            if depth == 1 and colon:
                return _value(text[colon.end() :])
        return None


def _value(text: bytes) -> tuple[Any] | None:
    """Return the JSON value at the beginning of the text in a tuple, or None if it is not complete."""
    try:
        value, end = DECODER.raw_decode(text.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    # A number at the end of the text may continue. An object or a string is complete.
    return (value,) if isinstance(value, dict | str) or end < len(text) else None
