"""Simulates Vast's port mapping: a public port in front of a worker, with TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CHUNK = 64 * 1024


@asynccontextmanager
async def run_tls_proxy(worker_port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Listen on a free port of 127.0.0.1, forward connections to `worker_port`, and yield the free port.

    Without `tls`, the free port accepts plain connections.
    """

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, ssl.SSLError):
            await _forward(reader, writer, worker_port)

    server = await asyncio.start_server(connect, "127.0.0.1", 0, ssl=tls)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Copy in both directions until one side closes, then close the other, so that a worker sees a disconnect."""
    try:
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            copies = [asyncio.create_task(_copy(reader, to_writer)), asyncio.create_task(_copy(to_reader, writer))]
            _, pending = await asyncio.wait(copies, return_when=asyncio.FIRST_COMPLETED)
            for copy in pending:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
        finally:
            to_writer.close()
    finally:
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction of a connection until it ends."""
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()
