"""Requests that no client library would send."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.conftest import Client


@dataclass(frozen=True)
class SocketResponse:
    """Status, headers and body of a response."""

    status: int
    body: bytes


async def sent(client: Client, target: str, *lines: str, version: str = "1.1", body: bytes = b"") -> SocketResponse:
    """Send raw bytes on a connection of their own, and return the response."""
    method = "POST" if body else "GET"
    port = int(client.app.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = [f"{method} {target} HTTP/{version}", *lines, f"Content-Length: {len(body)}", "Connection: close", "", ""]
    writer.write("\r\n".join(head).encode("latin-1") + body)
    async with asyncio.timeout(60):
        answer = await reader.read()
    writer.close()
    return SocketResponse(int(answer.split(b" ")[1]), answer.partition(b"\r\n\r\n")[2])
