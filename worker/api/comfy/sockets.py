"""The WebSockets of ComfyUI's clients, by caller and client id."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aiohttp import web

from worker.api.comfy.client_prompts import Scope
from worker.api.comfy.frames import Frame, ImageFrame

MOST_WAITING, MOST_BYTES = 1000, 64 * 1024 * 1024
"""Frames and bytes that may wait for one client. A client that is slower is disconnected."""


class ClientSocket:
    """One connection. `supports_metadata` is set once the client has said that it reads previews with metadata."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._waiting: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._waiting_bytes = 0
        self.supports_metadata = False

    def send(self, frame: Frame) -> None:
        """Send a frame as soon as the client takes it, or end the connection of a client that is too slow."""
        if isinstance(frame, ImageFrame):
            self.send_encoded(frame.encoded(with_metadata=self.supports_metadata))
        else:
            self.send_encoded(frame.encoded())

    def send_encoded(self, data: str | bytes) -> None:
        """Send the text or the bytes of a frame."""
        if self._waiting.qsize() < MOST_WAITING and self._waiting_bytes < MOST_BYTES:
            self._waiting_bytes += len(data)
            self._waiting.put_nowait(data)
            return
        while not self._waiting.empty():
            self._waiting.get_nowait()
        self._waiting.put_nowait(None)

    async def write(self) -> None:
        """Write the frames until the connection ends."""
        with suppress(ConnectionError):
            while (data := await self._waiting.get()) is not None:
                self._waiting_bytes -= len(data)
                if isinstance(data, str):
                    await self._socket.send_str(data)
                else:
                    await self._socket.send_bytes(data)
            await self._socket.close(code=1013, message=b"the client is too slow")


class ClientSockets:
    """All connections. Several may have the same client id, and then all of them get its frames."""

    def __init__(self) -> None:
        self._by_scope: dict[Scope, dict[str, list[ClientSocket]]] = {}

    @contextmanager
    def connected(self, scope: Scope, client_id: str, socket: ClientSocket) -> Iterator[None]:
        """Send frames to a connection inside the context."""
        clients = self._by_scope.setdefault(scope, defaultdict(list))
        clients[client_id].append(socket)
        try:
            yield
        finally:
            clients[client_id].remove(socket)
            if not clients[client_id]:
                del clients[client_id]
            if not clients and self._by_scope.get(scope) is clients:
                del self._by_scope[scope]

    def any_of(self, scope: Scope) -> bool:
        """Return whether a client of this caller is connected."""
        return scope in self._by_scope

    def has_client(self, scope: Scope, client_id: str) -> bool:
        """Return whether this client is connected."""
        return client_id in self._by_scope.get(scope, ())

    def send(self, scope: Scope, client_id: str, frame: Frame) -> None:
        """Send a frame of a prompt to its client. Without a client id, ComfyUI sends some frames to all."""
        if client_id:
            self._send_to(self._by_scope.get(scope, {}).get(client_id, ()), frame)
        elif isinstance(frame, ImageFrame) or frame.everyone:
            self.broadcast(scope, frame)

    def broadcast(self, scope: Scope, frame: Frame) -> None:
        """Send a frame to all clients of a caller."""
        clients = self._by_scope.get(scope, {})
        self._send_to([socket for sockets in clients.values() for socket in sockets], frame)

    def _send_to(self, sockets: list[ClientSocket] | tuple[()], frame: Frame) -> None:
        """Send a frame to these connections. A text is encoded once."""
        if isinstance(frame, ImageFrame):
            for socket in sockets:
                socket.send(frame)
        elif sockets:
            text = frame.encoded()
            for socket in sockets:
                socket.send_encoded(text)
