"""Raw connections, and a server in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[..., Awaitable[Stream]]
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def opened() -> AsyncIterator[Open]:
    """Yield a function that opens a connection and sends bytes. All are closed after the test."""
    streams: list[Stream] = []

    async def open_one(port: int, sent: bytes = b"") -> Stream:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        streams.append((reader, writer))
        writer.write(sent)
        return reader, writer

    yield open_one
    for _, writer in streams:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def status(stream: Stream) -> int:
    """Return the status of the response, or 0 if the connection was closed without one."""
    try:
        line = await stream[0].readline()
    except ConnectionError:
        return 0
    return int(line.split()[1]) if line else 0


@asynccontextmanager
async def served(*arguments: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """Yield a function that starts a server with a limit on open files."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.connections.served", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process, int(await process.stdout.readline())
    finally:
        process.kill()
        await process.wait()
