"""Reads what ComfyUI answers, or something in its place: within a time, within a size, and in the expected shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from worker.engine.protocol.messages import UnexpectedShape
from worker.errors import EngineUnavailable

MIB = 1024 * 1024
QUICK = aiohttp.ClientTimeout(total=10)
"""For routes that answer at once. A cold model load has held ComfyUI's event loop for seconds."""
CATALOG = aiohttp.ClientTimeout(total=120, sock_connect=10, sock_read=60)
"""For the catalog: with many packs, on a slow disk, ComfyUI takes tens of seconds to list its models."""
FILES = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
"""For files, which take as long as they are large; a job has its own limit."""
LARGEST_ANSWER = 256 * MIB
"""Bytes of JSON. The largest that was seen is a catalog of 15 MiB."""


async def read_body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body. Raises UnexpectedShape above LARGEST_ANSWER, which no answer of ComfyUI's has."""
    data = bytearray()
    async for piece in answer.content.iter_any():
        data += piece
        if len(data) > LARGEST_ANSWER:
            raise UnexpectedShape(f"it is larger than {LARGEST_ANSWER // MIB} MiB")
    return bytes(data)


@contextmanager
def checked_shape(route: str) -> Iterator[None]:
    """Report an answer of another shape as what it is to the caller: no answer. Raises EngineUnavailable."""
    try:
        yield
    except UnexpectedShape as error:
        raise EngineUnavailable(f"the answer to {route} is not ComfyUI's: {error}") from error
