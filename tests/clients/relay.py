"""A TCP relay in front of a worker that loses responses and cuts connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Self
from urllib.parse import urlsplit


class Relay:
    """A relay to `target`, which can be changed.

    Each entry of `cuts` is the number of bytes of the response after which one connection is cut. Later connections are
    not cut. With 0, the worker has sent its response, and the client gets nothing.
    """

    def __init__(self, target: str, cuts: Iterable[int] = ()) -> None:
        self.target = target
        self.url = ""
        self.connections = 0
        self._cuts = list(cuts)
        self._writers: set[asyncio.StreamWriter] = set()
        self._relays: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut_all()
        await asyncio.gather(*self._relays)

    def cut_all(self) -> None:
        """Cut all connections."""
        for writer in list(self._writers):
            writer.transport.abort()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        cut = self._cuts.pop(0) if self._cuts else None
        task = asyncio.create_task(self._relay(reader, writer, cut))
        self._relays.add(task)
        task.add_done_callback(self._relays.discard)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int | None) -> None:
        address = urlsplit(self.target)
        try:
            back, forth = await asyncio.open_connection(address.hostname, address.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, forth}
        await asyncio.gather(self._pump(reader, forth, None), self._pump(back, writer, cut))
        self._writers -= {writer, forth}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: int | None) -> None:
        """Forward bytes until the end, or abort the connection after `cut` of them."""
        try:
            while data := await reader.read(65536):
                if cut is not None and len(data) >= cut:
                    writer.write(data[:cut])
                    await writer.drain()
                    await asyncio.sleep(0)
                    writer.transport.abort()
                    return
                cut = None if cut is None else cut - len(data)
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
