"""File types recognised by their first bytes, and base64 recognised in place of a file name."""

from __future__ import annotations

import binascii
import re

SIGNATURES: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (6, b"\0\0\0\0", "image/bmp"),
    (0, b"\x76\x2f\x31\x01", "image/x-exr"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypqt  ", "video/quicktime"),
    (4, b"ftypM4A ", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1a\x45\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"glTF", "model/gltf-binary"),
)
"""Offset, bytes and media type. More specific signatures come first."""
STARTS = {"image/webp": b"RIFF", "audio/wav": b"RIFF", "video/x-msvideo": b"RIFF", "image/bmp": b"BM"}
"""Bytes that a file of this media type must have at its beginning as well."""
SHORTEST = 64
"""Shortest text that is checked for base64. No file of these types is smaller, so a shorter text is a name."""
BASE64 = re.compile(r"[A-Za-z0-9+/_\s-]++={0,2}\s*+", re.ASCII)
ESCAPES = re.compile(r"(?<!\\)\\++(?:[nrt]|(?=/)|\Z)")
"""Remains of line breaks and slashes in base64 that was escaped twice."""
LONGEST_FILE_NAME = 200
"""Characters above which a text is too long for a file name."""
CHECKED = 400
"""Characters at the beginning of a text that are checked. They contain enough base64 without spaces and escapes."""
GROUP = 4
"""Characters of base64 that are decoded together."""


def media_type(head: bytes) -> str | None:
    """Return the media type of a file that begins with `head`, or None if no signature matches."""
    for offset, signature, kind in SIGNATURES:
        if head[offset : offset + len(signature)] == signature and head.startswith(STARTS.get(kind, b"")):
            return kind
    return None


def looks_like_base64(text: str) -> bool:
    """Return True for a text of base64 characters that is too long for a file name and has no extension.

    Remains of JSON escapes in the text are ignored.
    """
    if len(text) <= LONGEST_FILE_NAME or "." in text:
        return False
    return bool(BASE64.fullmatch(ESCAPES.sub("", text)))


def base64_media_type(text: str) -> str | None:
    """Return the media type of the file that a text encodes as base64, or None. Only its beginning is decoded."""
    head = ESCAPES.sub("", text[:CHECKED])
    if len(text) < SHORTEST or not BASE64.fullmatch(head):
        return None
    letters = "".join(head.split()).translate(str.maketrans("-_", "+/")).rstrip("=")[:SHORTEST]
    whole_groups = letters[: len(letters) // GROUP * GROUP]
    try:
        return media_type(binascii.a2b_base64(whole_groups))
    except binascii.Error:
        return None
