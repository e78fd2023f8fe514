"""Placeholders in a workflow for long data URIs, whose content is stored in a file.

A placeholder is a data URI without data that contains the SHA-256 of the replaced text. It is not a secret: it refers
to a file only in the request that contained that file.
"""

from __future__ import annotations

import re

from worker.bodies import DATA_URI
from worker.inputs.content.signatures import base64_media_type
from worker.inputs.decode import EXTENSIONS, uri_type

PLACEHOLDER = re.compile(r"data:([\w.+-]+/[\w.+-]+)?;sha256=([0-9a-f]{64});base64,", re.ASCII)
BARE = re.compile(r"[A-Za-z0-9+/_\r\n-]{16,}", re.ASCII)
HEAD = 256
"""Bytes at the beginning of a text that decide whether it is a file."""


def placeholder(head: str, sha256: str, *, bare: bool) -> str | None:
    """Return the placeholder for a text that begins with `head`, or None if the text is not a file.

    A text is a file if it is a data URI, or base64 of an image, video, audio or GLB file. With `bare` any base64 is a
    file.
    """
    if uri := DATA_URI.match(head):
        return f"data:{uri_type(uri)};sha256={sha256};base64,"
    kind = base64_media_type(head)
    if kind is None and not (bare and BARE.fullmatch(head)):
        return None
    return f"data:{kind or ''};sha256={sha256};base64,"


def placeholder_file_name(text: str) -> str | None:
    """Return the name of the file that a placeholder refers to, or None for any other text."""
    match = PLACEHOLDER.fullmatch(text)
    return match[2] + EXTENSIONS.get(match[1], ".png") if match else None
