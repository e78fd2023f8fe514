"""A TCP relay in front of an engine that breaks or delays connections."""

from __future__ import annotations

import asyncio
from typing import Self

from tests.engines import EngineHandle


class Proxy:
    """A relay that delays requests which begin with `slow`. Bytes that it has received are always forwarded."""

    def __init__(self, engine: EngineHandle, slow: bytes = b"", delay_s: float = 0.0) -> None:
        self._target = int(engine.url.rsplit(":", 1)[1])
        self._slow = slow
        self._delay_s = delay_s
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self.break_sockets()
        await asyncio.gather(*self._relays)

    async def break_sockets(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._relay(reader, writer))
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, forth}
        await asyncio.gather(self._pump(reader, forth), self._pump(back, writer))
        self._writers -= {writer, forth}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if self._slow and data.startswith(self._slow):
                    await asyncio.sleep(self._delay_s)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
