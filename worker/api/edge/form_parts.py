"""Multipart bodies as clients write them: what aiohttp can't read of one is the client's mistake."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp.http_exceptions import HttpProcessingError

from worker.errors import ClientError

UNREADABLE = (ValueError, LookupError, AssertionError, HttpProcessingError, zlib.error)
"""What aiohttp raises for a boundary that is none, headers of a part that are none, and an end that does not come."""
LONGEST = 300


@contextmanager
def multipart_errors_as_client_errors() -> Iterator[None]:
    """Read parts of a form inside. Raises ClientError in place of what aiohttp raises."""
    try:
        yield
    except UNREADABLE as error:
        why = " ".join(str(error).split())[:LONGEST].encode(errors="replace").decode() or "a part has no end"
        raise ClientError(f"the multipart body can't be read: {why}") from None
