"""A server at an address that the worker must never connect to. Any connection is a failed address check."""

from __future__ import annotations

import asyncio
from typing import Self


class ForbiddenServer:
    """Listens on a loopback port and counts the connections."""

    def __init__(self) -> None:
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    def _accept(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Count a connection and close it."""
        self.connections += 1
        writer.close()


def forbidden_urls(port: int, engine_port: int) -> tuple[str, ...]:
    """Return URLs to this machine, to its network and to no host, in many spellings. None leads to the internet."""
    return (
        f"http://127.0.0.1:{port}/x.png",
        f"http://localhost:{port}/x.png",
        f"http://[::1]:{port}/x.png",
        f"http://[::ffff:127.0.0.1]:{port}/x.png",
        f"http://0.0.0.0:{port}/x.png",
        f"http://0:{port}/x.png",
        f"http://2130706433:{port}/x.png",
        f"http://0x7f.1:{port}/x.png",
        f"http://0177.0.0.1:{port}/x.png",
        f"http://127.1:{port}/x.png",
        f"http://user:pass@127.0.0.1:{port}/x.png",
        f"http://127.0.0.1:{engine_port}/free",
        f"https://127.0.0.1:{port}/x.png",
        f"HTTP://127.0.0.1:{port}",
        "http://169.254.169.254/latest/meta-data/",
        "http://[fd00:ec2::254]/",
        "http://metadata.invalid/",
        "http://10.0.0.1/x.png",
        "file:///etc/passwd",
        "ftp://127.0.0.1/x",
        "gopher://127.0.0.1/x",
        "http://",
        "http://[",
        "https://:443/x",
        "http://127.0.0.1:99999/",
        "data:image/png;base64,",
        "data:text/html;base64,PHNjcmlwdD4=",
    )
