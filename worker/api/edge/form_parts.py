"""Errors in multipart bodies."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp.http_exceptions import HttpProcessingError

from worker.errors import ClientError

UNREADABLE = (ValueError, LookupError, AssertionError, HttpProcessingError, zlib.error)
"""Exceptions of aiohttp for an invalid boundary, invalid headers of a part, and a missing end."""
LONGEST = 300
"""Characters of the exception that a message repeats."""


@contextmanager
def multipart_errors_as_client_errors() -> Iterator[None]:
    """Raise ClientError instead of the exceptions of aiohttp's multipart reader."""
    try:
        yield
    except UNREADABLE as error:
        one_line = " ".join(str(error).split())[:LONGEST]
        reason = one_line.encode(errors="replace").decode() or "a part has no end"  # an AssertionError has no text
        raise ClientError(f"cannot read the multipart body: {reason}") from None
