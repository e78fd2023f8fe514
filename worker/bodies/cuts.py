"""Where JSON may be cut, and where its strings begin and end."""

from __future__ import annotations

import re

UNFINISHED_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
UNFINISHED_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
LONGEST_UNFINISHED = len(rb"\ud83d\ude0")


def mask_escapes(json: bytes) -> bytes:
    """Return JSON of the same length in which every quote begins or ends a string, and every backslash an escape.

    `json` begins between characters. Backslashes pair up from the left, which is how `bytes.replace` finds them.
    """
    return json.replace(rb"\\", b"  ").replace(rb"\"", b"  ") if b"\\" in json else json


def complete_length(json: bytes, plain: bytes) -> int:
    """Return how many bytes can be read by themselves: the rest begins a character whose end is not here yet.

    `plain` is `mask_escapes(json)`. An escape, a surrogate pair and a character in UTF-8 are not cut.
    """
    tail = plain[-LONGEST_UNFINISHED:]
    if unfinished := UNFINISHED_PAIR.search(tail) or UNFINISHED_ESCAPE.search(tail):
        return len(json) - len(tail) + unfinished.start()
    for back in range(1, min(3, len(json)) + 1):
        byte = json[-back]
        if byte < 0x80:
            break
        if byte >= 0xC0:
            length = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(json) - back if length > back else len(json)
    return len(json)
