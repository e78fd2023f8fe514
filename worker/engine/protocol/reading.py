"""Limits for reading ComfyUI's HTTP responses: their duration, size and shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from worker.engine.protocol.messages import UnexpectedShape
from worker.errors import EngineUnavailable

MIB = 1024 * 1024
QUICK = aiohttp.ClientTimeout(total=10)
"""Timeout of routes that respond at once. A cold model load has blocked ComfyUI's event loop for seconds."""
CATALOG = aiohttp.ClientTimeout(total=120, sock_connect=10, sock_read=60)
"""Timeout of the catalog. With many node packs on a slow disk, ComfyUI takes tens of seconds to list its models."""
FILES = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
"""Timeout of files, which has no total because they may be large. A job has its own limit."""
LARGEST_RESPONSE = 256 * MIB
"""Largest JSON response in bytes. The largest one seen is a catalog of 15 MiB."""


async def read_body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body of a response. Raises UnexpectedShape when it exceeds LARGEST_RESPONSE."""
    data = bytearray()
    async for piece in answer.content.iter_any():
        data += piece
        if len(data) > LARGEST_RESPONSE:
            raise UnexpectedShape(f"it is larger than {LARGEST_RESPONSE // MIB} MiB")
    return bytes(data)


@contextmanager
def checked_shape(route: str) -> Iterator[None]:
    """Raise EngineUnavailable for an UnexpectedShape inside the context. `route` names the request."""
    try:
        yield
    except UnexpectedShape as error:
        raise EngineUnavailable(f"the response to {route} does not have ComfyUI's shape: {error}") from error
