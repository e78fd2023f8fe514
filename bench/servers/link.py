"""A file server behind a link of a fixed rate, which all its connections share.

    python -m bench.servers.link FOLDER BYTES_PER_S

It prints its port on the first line. The kernel sends the files, so that the server needs hardly any processor time.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from pathlib import Path

PIECE = 256 * 1024
AHEAD_S = 0.02
"""Seconds of data that may be sent at once after a pause, like the buffer of a real link."""
REQUEST = re.compile(rb"GET /([\w.-]+) HTTP/1\.1\r\n")


class SlowLink:
    """A link of a fixed rate that all connections share."""

    def __init__(self, bytes_per_s: float) -> None:
        self._rate = bytes_per_s
        self._free_at = 0.0

    async def pass_through(self, size: int) -> None:
        """Wait until this number of bytes has passed."""
        now = time.monotonic()
        self._free_at = max(self._free_at, now - AHEAD_S) + size / self._rate
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)


async def serve(folder: Path, bytes_per_s: float) -> None:
    """Serve the folder until the process ends."""
    link = SlowLink(bytes_per_s)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            match = REQUEST.match(await reader.readuntil(b"\r\n\r\n"))
            if match:
                await _send(folder / match[1].decode(), writer, link)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _send(path: Path, writer: asyncio.StreamWriter, link: SlowLink) -> None:
    """Send a file in pieces at the link's rate."""
    loop = asyncio.get_running_loop()
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % size)
        await writer.drain()
        for start in range(0, size, PIECE):
            await link.pass_through(min(PIECE, size - start))
            await loop.sendfile(writer.transport, file, start, min(PIECE, size - start), fallback=True)


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2])))
