"""Short data URIs that stand in a workflow for long ones, whose files lie beside it.

A stand-in is a data URI without data that names the SHA-256 of the text that it stands for. It is no secret: it means
a file only in a request that brought that file.
"""

from __future__ import annotations

import re

from worker.bodies import DATA_URI
from worker.inputs.decode import EXTENSIONS, uri_type
from worker.inputs.signatures import base64_media

STAND_IN = re.compile(r"data:([\w.+-]+/[\w.+-]+)?;sha256=([0-9a-f]{64});base64,", re.ASCII)
BARE = re.compile(r"[A-Za-z0-9+/_\r\n-]{16,}", re.ASCII)
HEAD = 256
"""Bytes of a text that show whether it is a file."""


def placeholder(head: str, sha256: str, *, bare: bool) -> str | None:
    """Return what stands for the text that begins with `head`; None for one that is no file.

    It is one as a data URI, and as base64 of a picture, video or sound. With `bare` any base64 is one.
    """
    if uri := DATA_URI.match(head):
        return f"data:{uri_type(uri)};sha256={sha256};base64,"
    kind = base64_media(head)
    if kind is None and not (bare and BARE.fullmatch(head)):
        return None
    return f"data:{kind or ''};sha256={sha256};base64,"


def placeholder_file_name(text: str) -> str | None:
    """Return the name of the file that a stand-in means; None for any other text."""
    found = STAND_IN.fullmatch(text)
    return found[2] + EXTENSIONS.get(found[1], ".png") if found else None
