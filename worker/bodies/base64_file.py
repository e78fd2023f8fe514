"""Decoding of base64 from file to file, piece by piece and without holding the GIL."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import BinaryIO

from worker.bodies.base64_text import DATA_URI_BYTES, Base64Decoder
from worker.bodies.limits import KIB, PIECE
from worker.errors import NotBase64

LONGEST_HEAD = 4 * KIB
"""Bytes at the start of a file that are searched for the head of a data URI."""


def decode_base64_file(source: Path, target: Path) -> tuple[int, str]:
    """Decode `source` into the new file `target`, remove `source`, and return size in bytes and SHA-256 of `target`.

    Accepts the same forms as Base64Decoder, with or without the head of a data URI. Raises NotBase64 or OSError. After
    an error `source` is unchanged and `target` does not exist.
    """
    with source.open("rb") as text, target.open("xb") as data:
        try:
            size_and_sha256 = _decode(text, data)
            data.flush()
        except (ValueError, OSError) as error:
            target.unlink()
            if isinstance(error, OSError):
                raise
            raise NotBase64(str(error)) from None
    source.unlink()
    return size_and_sha256


def _decode(text: BinaryIO, data: BinaryIO) -> tuple[int, str]:
    """Decode an open file into another one. Return the size in bytes and the SHA-256 of the data."""
    size, digest, decoder = 0, hashlib.sha256(), Base64Decoder()

    def write(decoded: bytes) -> None:
        """Write decoded bytes, and count and hash them."""
        nonlocal size
        size += data.write(decoded)
        digest.update(decoded)

    uri = DATA_URI_BYTES.match(text.read(LONGEST_HEAD))
    text.seek(uri.end() if uri else 0)
    while piece := text.read(PIECE):
        write(decoder.feed(piece))
    write(decoder.finish())
    return size, digest.hexdigest()
