"""The WebSockets of the replay, by the client names of the recording."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Self

import aiohttp

from tests.conformance.recorded.transcript import Frame, decode_binary, decode_text


class ReplaySockets:
    """The WebSockets of all clients. Every frame is stored, over all connections of a client."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self._open: dict[str, aiohttp.ClientWebSocketResponse] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Condition()
        self.frames: dict[str, list[Frame]] = {}
        self.lost: dict[str, int | None] = {}
        """The close code of each client whose WebSocket the server closed."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    @property
    def clients(self) -> list[str]:
        return list(self._open)

    async def connect(self, client: str, path: str) -> bool:
        """Connect a client. Return False when the engine does not respond."""
        try:
            # ComfyUI sends images of any size as one frame.
            opened = await self._session.ws_connect(self._url + path, max_msg_size=0, autoclose=False)
        except aiohttp.ClientError:
            return False
        self._open[client] = opened
        self.frames.setdefault(client, [])
        reader = asyncio.create_task(self._read(client, opened))
        self._readers.add(reader)
        reader.add_done_callback(self._readers.discard)
        return True

    async def send(self, client: str, text: str) -> None:
        await self._open[client].send_str(text)

    async def leave(self, client: str, *, abort: bool) -> None:
        """Close a WebSocket. With `abort`, close its TCP connection without a close frame."""
        opened = self._open.pop(client)
        if not abort:
            await opened.close()
            return
        connection = opened.get_extra_info("socket")
        if connection is not None:
            connection.shutdown(socket.SHUT_RDWR)

    async def until(self, ready: Callable[[], bool], patience_s: float) -> bool:
        """Wait until `ready` is true, or return False at the timeout. It is checked after each frame and each loss."""
        try:
            async with asyncio.timeout(patience_s), self._changed:
                await self._changed.wait_for(ready)
        except TimeoutError:
            return False
        return True

    async def _read(self, client: str, opened: aiohttp.ClientWebSocketResponse) -> None:
        """Store the frames of one connection until it ends."""
        async for message in opened:
            if message.type is aiohttp.WSMsgType.TEXT:
                await self._keep(client, decode_text(message.data))
            elif message.type is aiohttp.WSMsgType.BINARY:
                await self._keep(client, decode_binary(message.data))
        if self._open.get(client) is opened:
            del self._open[client]
            async with self._changed:
                self.lost[client] = opened.close_code
                self._changed.notify_all()

    async def _keep(self, client: str, frame: Frame) -> None:
        async with self._changed:
            self.frames[client].append(frame)
            self._changed.notify_all()
