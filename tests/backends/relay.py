"""A TCP relay that loses the answer to a submission after the server has got it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SUBMISSIONS = (b"POST /generate", b"POST /v2/comfy/run")


class CuttingRelay:
    """Forwards connections to a port. `cut_next` lets the next submission reach the server, and drops its answer."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()
        self.cut_next = False
        self.port = 0

    @property
    def url(self) -> str:
        """The URL of the relay."""
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_doomed = asyncio.Event()
        try:
            back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        try:
            requests, answers = self._requests(reader, forth, is_doomed), self._answers(back, writer, is_doomed)
            await asyncio.gather(requests, answers)
        except OSError:
            pass
        finally:
            forth.transport.abort()
            writer.transport.abort()

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if self.cut_next and data.startswith(SUBMISSIONS):
                self.cut_next = False
                is_doomed.set()
            writer.write(data)
            await writer.drain()
        writer.close()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_doomed: asyncio.Event
    ) -> None:
        while data := await reader.read(65536):
            if is_doomed.is_set():
                writer.transport.abort()
                return
            writer.write(data)
            await writer.drain()
        writer.close()
