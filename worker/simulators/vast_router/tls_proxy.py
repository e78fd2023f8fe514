"""Vast's port mapping in front of a worker: another port, and TLS with a certificate that names the address."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 64 * 1024


@asynccontextmanager
async def run_tls_proxy(worker_port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Listen on a free port of 127.0.0.1 and pass everything to `worker_port`; yields the free port."""

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            await _join(reader, writer, worker_port)

    server = await asyncio.start_server(connect, "127.0.0.1", 0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Copy both ways until one side ends, then end the other: a client that hangs up is seen by the worker."""
    try:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            ways = [asyncio.create_task(_copy(reader, to_writer)), asyncio.create_task(_copy(to_reader, writer))]
            _, still = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in still:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
        finally:
            to_writer.close()
    finally:
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
