"""MCP over the standard input and output of this process, as hosts on the same machine start it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import CancelledError
from typing import Any, cast

import anyio
from mcp.server.stdio import stdio_server

from worker.mcp_server.server import ToolServer

STDIN, CHUNK = 0, 64 * 1024
LONGEST_LINE = 256 * 1024**2
"""Bytes of one message. The rest of a longer one is dropped, and the SDK answers that it is not JSON."""


async def serve_stdio(server: ToolServer) -> None:
    """Serve the client at standard input until it closes that, or until this task is cancelled.

    Standard output carries the protocol only. While this runs, everything else that writes to it writes to standard
    error.
    """
    lines = cast("anyio.AsyncFile[str]", StdinLines())  # the SDK only iterates over it
    try:
        async with stdio_server(stdin=lines) as (read_stream, write_stream):
            sdk = server.sdk_server()
            await sdk.run(read_stream, write_stream, sdk.create_initialization_options())
    except* BrokenPipeError:
        pass  # the host has closed its end, and reads no further response


class StdinLines:
    """The lines of standard input, read by a thread that does not keep the process alive.

    The SDK's own reader cannot be cancelled, so that SIGTERM would end the process only after the next message. Child
    processes get an empty standard input.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue(16)
        self._fd = os.dup(STDIN)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, STDIN)
        os.close(nothing)
        threading.Thread(target=self._read, name="mcp-stdin", daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[str]:
        while (line := await self._lines.get()) is not None:
            yield line

    def _read(self) -> None:
        """Put each line into the queue, and None at the end."""
        line = bytearray()
        try:
            while chunk := os.read(self._fd, CHUNK):
                *complete, rest = chunk.split(b"\n")
                for piece in complete:
                    line += piece
                    self._put(line.decode("utf-8", "replace"))
                    line.clear()
                line += rest[: max(0, LONGEST_LINE - len(line))]
        except OSError:
            pass  # the terminal or the pipe is gone
        self._put(None)

    def _put(self, line: str | None) -> None:
        """Put a line into the queue of the event loop, and wait while it is full."""
        coroutine: Any = self._lines.put(line)
        try:
            asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()
        except (RuntimeError, CancelledError):
            coroutine.close()  # the loop has ended
