"""A TCP relay between worker and engine: it counts prompts, and it breaks, silences or slows connections on demand."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

SUBMISSION = b"POST /prompt "
UPGRADE = b"GET /ws?"
PIECE = 256 * 1024


class TcpRelay:
    """A TCP relay on loopback. It forwards bytes and reads only the first bytes of each request.

    `submissions` counts the prompts that were sent to the engine, with any result. A silenced WebSocket stays open, but
    the engine's messages on it are dropped. `delay_s` delays every part of a response, and `piece` is the largest
    number of bytes that is written at once.
    """

    def __init__(self, port: int) -> None:
        self.submissions = 0
        self.url = ""
        self.delay_s = 0.0
        self.piece = PIECE
        self._port = port
        self._silenced: set[asyncio.StreamWriter] = set()
        self._websockets: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def drop_websockets(self) -> int:
        """Abort every WebSocket connection. Returns their number."""
        dropped = list(self._websockets)
        for writer in dropped:
            writer.transport.abort()
        return len(dropped)

    def silence_websockets(self) -> int:
        """Keep every WebSocket open but drop all messages to the worker. Returns their number."""
        self._silenced |= self._websockets
        return len(self._websockets)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay a new connection in a task."""
        task = asyncio.create_task(self._relay_connection(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Relay one connection of the worker until either side closes it."""
        try:
            engine_reader, engine_writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, engine_writer}
        self._open |= both
        try:
            await asyncio.gather(
                self._forward_requests(reader, engine_writer, writer), self._forward_responses(engine_reader, writer)
            )
        finally:
            self._open -= both
            self._websockets -= both
            self._silenced -= both

    async def _forward_requests(
        self, reader: asyncio.StreamReader, engine_writer: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        """Forward the worker's bytes, count its prompts and note which connections are WebSockets."""
        with suppress(ConnectionError):
            while (data := await reader.read(PIECE)) and not engine_writer.transport.is_closing():
                # A client writes the head of a request at once, and the next request after the response.
                self.submissions += data.startswith(SUBMISSION)
                if data.startswith(UPGRADE):
                    self._websockets.add(writer)
                engine_writer.write(data)
                await engine_writer.drain()
        engine_writer.close()

    async def _forward_responses(self, engine_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward the engine's bytes, except on silenced WebSockets."""
        with suppress(ConnectionError):
            while (data := await engine_reader.read(PIECE)) and not writer.transport.is_closing():
                if writer not in self._silenced:
                    await self._write(writer, data)
        writer.close()

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Write bytes after the delay, in pieces."""
        await asyncio.sleep(self.delay_s)
        for start in range(0, len(data), self.piece):
            writer.write(data[start : start + self.piece])
            await writer.drain()
            await asyncio.sleep(0)  # so that the worker reads this piece alone
