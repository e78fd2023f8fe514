"""Reader of EXIF data, in whose fields ComfyUI writes `prompt:{…}` and `workflow:{…}` (WebP, AVIF and JPEG)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_BYTES, _ASCII, _UNDEFINED = 1, 2, 7
_EXIF_IFD_TAG, _USER_COMMENT_TAG = 0x8769, 0x9286
_MAX_FIELDS = 200
_HEADER = b"Exif\0\0"


def exif_texts(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield name and text of each field of the form `name:text`, and the user comment under the name `comment`.

    The data is a TIFF header and a directory of fields (Exif 2.3, section 4.5). Damaged data yields fewer texts.
    """
    data = data.removeprefix(_HEADER)
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return
    try:
        (offset,) = struct.unpack_from(f"{order}I", data, 4)
        yield from _directory_texts(data, order, offset, is_first=True)
    except struct.error:
        return


def _directory_texts(data: bytes, order: str, start: int, *, is_first: bool) -> Iterator[tuple[str, str]]:
    """Yield the texts of the directory at `start`. The first directory may refer to a second one, which is read too.

    `order` is the byte order for `struct`. An entry has tag, type, length, and an offset or a value of up to 4 bytes.
    Raises struct.error if the data is damaged.
    """
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for index in range(min(count, _MAX_FIELDS)):
        entry = start + 2 + 12 * index
        tag, kind, length, offset = struct.unpack_from(f"{order}HHII", data, entry)
        value_start = entry + 8 if length <= 4 else offset
        value = data[value_start : value_start + length]
        if kind == _ASCII:
            name, colon, text = _text(value).partition(":")
            if colon:
                yield name, text
        elif tag == _USER_COMMENT_TAG and kind in (_BYTES, _UNDEFINED):
            yield "comment", _comment(value, order)
        elif tag == _EXIF_IFD_TAG and is_first:
            yield from _directory_texts(data, order, offset, is_first=False)


def _text(body: bytes) -> str:
    """Return the text in UTF-8 bytes without the zeros at its end."""
    return body.rstrip(b"\0").decode("utf-8", "replace")


def _comment(body: bytes, order: str) -> str:
    """Return the text of a user comment, whose first eight bytes name its encoding. `order` is the byte order."""
    if body.startswith(b"UNICODE\0"):
        return body[8:].decode("utf-16-le" if order == "<" else "utf-16-be", "replace").rstrip("\0")
    return _text(body[8:])
