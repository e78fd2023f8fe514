"""Bytes that are not a request. Logs must not contain any of them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

MARK = b"attackers-own-text"
HOST = b"Host: 127.0.0.1\r\n"
POST = b"POST /generate HTTP/1.1\r\n" + HOST
GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + MARK * 20,
    b"GET /" + MARK * 4000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\nX: " + MARK * 4000 + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"X: " + MARK + b"\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
    b"\0" * 100 + MARK + b"\r\n\r\n",
    b"GET /\0" + MARK + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"X: \0" + MARK + b"\r\n\r\n",
    b"GET /\x1b[31m\n" + MARK + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\xff\xfe\xfd" + MARK + b"\r\n\r\n",
    b"GET / HTTP/9.9" + MARK + b"\r\n" + HOST + b"\r\n",
    b"GET\r\n" + MARK + b"\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n" + MARK,
    b"GET / HTTP/1.1\r\nHost: " + MARK + b"\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + MARK + b"\r\n\r\n",
    b"GET http://[::1" + MARK + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"Expect: \xff" + MARK + b"\r\n\r\n",
    POST + b"Content-Length: " + MARK + b"\r\n\r\n",
    POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\nX: " + MARK + b"\r\n\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\n" + MARK + b"\r\n",
)
"""Each makes aiohttp write one record."""


async def send(port: int, pieces: Sequence[bytes], tls: ssl.SSLContext | None = None, *, leave: bool = False) -> None:
    """Send each of the byte strings on its own connection, several at a time, and wait for the end.

    With `leave` the client closes it.
    """
    slots = asyncio.Semaphore(8)

    async def one(piece: bytes) -> None:
        async with slots:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            try:
                writer.write(piece)
                if leave:
                    writer.write_eof()
                await reader.read()
            except (ConnectionError, ssl.SSLError):
                pass  # the server closed it before all was sent
            finally:
                writer.close()

    await asyncio.gather(*map(one, pieces))
