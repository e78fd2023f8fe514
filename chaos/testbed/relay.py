"""A TCP relay between worker and engine: counts prompts, and breaks, silences or slows connections on demand."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

SUBMISSION = b"POST /prompt "
UPGRADE = b"GET /ws?"
PIECE = 256 * 1024


class Relay:
    """`submissions` counts prompts that were handed to the engine, whatever it made of them.

    Deaf sockets stay open and bring nothing any more; what the engine says on them is lost. `delay_s` is how long each
    part of an answer is held back, and `piece` the most bytes that are written at a time.
    """

    def __init__(self, port: int) -> None:
        self.submissions = 0
        self.url = ""
        self.delay_s = 0.0
        self.piece = PIECE
        self._port = port
        self._deaf: set[asyncio.StreamWriter] = set()
        self._sockets: set[asyncio.StreamWriter] = set()
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

    def drop(self) -> int:
        """Break every WebSocket off; how many there were."""
        dropped = list(self._sockets)
        for writer in dropped:
            writer.transport.abort()
        return len(dropped)

    def deafen(self) -> int:
        """Leave every WebSocket open and let nothing through to the worker."""
        self._deaf |= self._sockets
        return len(self._sockets)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, forth}
        self._open |= both
        try:
            await asyncio.gather(self._ask(reader, forth, writer), self._answer(back, writer))
        finally:
            self._open -= both
            self._sockets -= both
            self._deaf -= both

    async def _ask(
        self, reader: asyncio.StreamReader, forth: asyncio.StreamWriter, writer: asyncio.StreamWriter
    ) -> None:
        with suppress(ConnectionError):
            while (data := await reader.read(PIECE)) and not forth.transport.is_closing():
                # A client writes the head of a request at once, and the next one after the answer.
                self.submissions += data.startswith(SUBMISSION)
                if data.startswith(UPGRADE):
                    self._sockets.add(writer)
                forth.write(data)
                await forth.drain()
        forth.close()

    async def _answer(self, back: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while (data := await back.read(PIECE)) and not writer.transport.is_closing():
                if writer not in self._deaf:
                    await self._say(writer, data)
        writer.close()

    async def _say(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        await asyncio.sleep(self.delay_s)
        for start in range(0, len(data), self.piece):
            writer.write(data[start : start + self.piece])
            await writer.drain()
            await asyncio.sleep(0)  # so that the worker reads this piece alone
