"""The worker's end of the socket to a process of handlers. The format is described in `call_server.py`."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from worker.bodies import in_thread

LENGTHS = struct.Struct(">II")
LONGEST_HEADER = 16 * 1024 * 1024
"""Most bytes of a header, which lists all handlers of an app with their docstrings."""
PIECE = 256 * 1024
"""Bytes that are read, written and sent at a time. Smaller results are written on the event loop."""


class ChannelError(Exception):
    """A process of handlers has sent something else than a message. Only a fault in `call_server.py` leads to it."""


@dataclass(frozen=True, slots=True)
class Message:
    """The header of a message, and the bytes of the body that follows it."""

    header: Mapping[str, Any]
    size: int


@dataclass(frozen=True, slots=True)
class HandlerChannel:
    """Sends calls to a process of handlers, and receives the answers."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, own_end: socket.socket) -> Self:
        """Open the channel on one end of a pair of sockets."""
        return cls(*await asyncio.open_unix_connection(sock=own_end, limit=PIECE))

    async def send(self, header: Mapping[str, Any], body: bytes) -> None:
        """Send a message. Raises OSError."""
        self.writer.write(_head(header, len(body)) + body)
        await self.writer.drain()

    async def send_file(self, header: Mapping[str, Any], body: Path, size: int) -> None:
        """Send a message with the file `body` of `size` bytes. Raises OSError."""
        self.writer.write(_head(header, size))
        with body.open("rb") as file:
            while size > 0:
                self.writer.write(await in_thread(partial(file.read, min(size, PIECE))))
                await self.writer.drain()
                size -= PIECE

    async def receive(self) -> Message:
        """Wait for a message, and return its header. Raises ChannelError, and EOFError when the process has ended."""
        header_size, body_size = LENGTHS.unpack(await self.reader.readexactly(LENGTHS.size))
        if header_size > LONGEST_HEADER:
            raise ChannelError(f"a header of {header_size:,} bytes")
        return Message(json.loads(await self.reader.readexactly(header_size)), body_size)

    async def receive_body(self, size: int, path: Path) -> None:
        """Write the body of a message to a file. Raises EOFError and OSError."""
        with path.open("wb") as file:
            while size > PIECE:
                await in_thread(partial(file.write, await self.reader.readexactly(PIECE)))
                size -= PIECE
            file.write(await self.reader.readexactly(size))

    def close(self) -> None:
        """Close the socket."""
        self.writer.close()


def _head(header: Mapping[str, Any], size: int) -> bytes:
    """Return what comes before the body of a message."""
    data = json.dumps(header).encode()
    return LENGTHS.pack(len(data), size) + data
