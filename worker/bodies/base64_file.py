"""Base64 from file to file, a piece at a time and without the GIL."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO

from worker.bodies.limits import KIB, PIECE
from worker.errors import NotBase64

LONGEST_HEAD = 64 * KIB
DATA_URI = re.compile(rb"data:([\w.+-]+/[\w.+-]+)?(;[\w.+=-]+)*;base64,")


def decode_base64_file(source: Path, target: Path) -> tuple[int, str]:
    """Decode `source` into the new file `target`, remove `source`, and return the size in bytes and the SHA-256.

    Accepts what `base64.b64decode(text, validate=True)` of Python 3.12 does, after the head of a data URI if there is
    one. Raises NotBase64 and OSError; then `source` is as before and there is no `target`.
    """
    with source.open("rb") as text, target.open("xb") as data:
        try:
            found = _decode(text, data)
            data.flush()
        except (ValueError, OSError) as error:
            target.unlink()
            if isinstance(error, OSError):
                raise
            raise NotBase64(str(error)) from None
    source.unlink()
    return found


def _needed(last: bytes, before: int) -> bytes:
    """Return the last piece without padding after complete groups, which the standard library accepts before 3.13."""
    bare = last.rstrip(b"=")
    return bare if len(bare) % 4 == 0 and (bare or before) else last


def _decode(text: BinaryIO, data: BinaryIO) -> tuple[int, str]:
    import pybase64

    size, digest = 0, hashlib.sha256()
    uri = DATA_URI.match(text.read(LONGEST_HEAD))
    text.seek(uri.end() if uri else 0)
    piece = text.read(PIECE)  # a multiple of 4 characters
    while piece:
        following = text.read(PIECE)
        if following and b"=" in piece:
            raise ValueError("padding before the end")
        decoded = pybase64.b64decode(piece if following else _needed(piece, size), validate=True)
        size += data.write(decoded)
        digest.update(decoded)
        piece = following
    return size, digest.hexdigest()
