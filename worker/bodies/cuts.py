"""Positions at which JSON text can be cut, and at which its strings begin and end."""

from __future__ import annotations

import re

UNFINISHED_ESCAPE = re.compile(rb"\\(?:u[0-9a-fA-F]{0,3})?\Z")
UNFINISHED_PAIR = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?:\\(?:u[0-9a-fA-F]{0,3})?)?\Z")
LONGEST_UNFINISHED = len(rb"\ud83d\ude0")


def mask_escapes(json: bytes) -> bytes:
    """Return JSON of the same length with escaped backslashes and quotes replaced by spaces.

    In the result every quote begins or ends a string. `json` must not begin inside a character or an escape.
    Backslashes are paired from the left, as `bytes.replace` does.
    """
    return json.replace(rb"\\", b"  ").replace(rb"\"", b"  ") if b"\\" in json else json


def complete_length(json: bytes, masked: bytes) -> int:
    """Return the length of the longest prefix that does not end inside a character.

    Escapes, surrogate pairs and UTF-8 sequences count as one character. `masked` is `mask_escapes(json)`.
    """
    tail = masked[-LONGEST_UNFINISHED:]
    unfinished = UNFINISHED_PAIR.search(tail) or UNFINISHED_ESCAPE.search(tail)
    if unfinished:
        return len(json) - len(tail) + unfinished.start()
    for distance in range(1, min(3, len(json)) + 1):
        byte = json[-distance]
        if byte < 0x80:  # ASCII
            break
        if byte >= 0xC0:  # the first byte of a UTF-8 sequence, which determines the length of the sequence
            length = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return len(json) - distance if length > distance else len(json)
    return len(json)
