"""One TCP connection of a client: its phase, its deadlines, and whether the client is authenticated."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from aiohttp import StreamReader, web

from worker.connections.limits import IDLE_S, ConnectionLimits

READ, UNAUTHENTICATED_READ = 256 * 1024, 16 * 1024
"""Bytes read from a socket at a time, from authenticated and from other clients."""


class Phase(Enum):
    """What a connection is waiting for: a request, the rest of a body, or the response."""

    WAITING = auto()
    BODY = auto()
    RESPONSE = auto()


class ConnectionOwner(Protocol):
    """The interface of a listener that its connections use."""

    limits: ConnectionLimits
    buffer: memoryview
    new_handler: Callable[[], web.RequestHandler]

    def on_handler_created(self, connection: Connection) -> None:
        """Receive a connection whose handler was created."""

    def on_authenticated(self, connection: Connection) -> None:
        """Receive a connection whose client is authenticated."""

    def on_lost(self, connection: Connection) -> None:
        """Receive a connection that was closed."""


class Connection(asyncio.BufferedProtocol):
    """Connects a socket with aiohttp's request handler. The handler is created when the first byte arrives.

    aiohttp has no time limit for headers and bodies, and creates a parser and a task for a connection that sends
    nothing.
    """

    def __init__(self, owner: ConnectionOwner, client: str, now: float) -> None:
        """`client` identifies the client. It is the same for all connections of one client."""
        self.client = client
        self.accepted_at = now
        self.authenticated = False
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self.handler: web.RequestHandler | None = None
        self._request: web.Request | None = None
        self._last_body: StreamReader | None = None
        """Body of the last request. Unread data of it is read and discarded after the response."""
        self._waiting_since = now
        self._headers_since: float | None = now
        """Time since which the headers of a request are awaited, or None between two requests."""
        self._window_at = now
        """Start of the current measuring window of `body_s` seconds."""
        self._window_bytes = 0
        """Bytes that arrived in the window."""
        self._loop = asyncio.get_running_loop()
        self._abort: Callable[[], object] | None = None
        self._closing = False

    # Called by the socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the transport of the socket."""
        self._transport = transport  # type: ignore[assignment]  # sockets have a Transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer for the next read.

        Unauthenticated clients get a small one, so that they cannot send much at once.
        """
        # After a response, the rest of the body is read only to discard it, so a large buffer does no harm.
        is_discarding = self._request is None and self._last_body is not None and not self._last_body.is_eof()
        size = READ if self.authenticated or is_discarding else UNAUTHENTICATED_READ
        return self._owner.buffer[:size]

    def buffer_updated(self, nbytes: int) -> None:
        """Pass received bytes to the handler, which is created for the first ones."""
        if self.handler is None:
            self.handler = self._owner.new_handler()
            self._owner.on_handler_created(self)
            assert self._transport is not None  # noqa: S101 - no data before connection_made
            self.handler.connection_made(self._transport)
        if self._request is None:
            self._headers_since = self._headers_since or self._loop.time()  # the headers of the next request begin
        self._window_bytes += nbytes
        self.handler.data_received(bytes(self._owner.buffer[:nbytes]))

    def eof_received(self) -> None:
        """Notify the handler that the client sends no more data."""
        if self.handler is not None:
            self.handler.eof_received()

    def pause_writing(self) -> None:
        """Notify the handler that the write buffer is full."""
        if self.handler is not None:
            self.handler.pause_writing()

    def resume_writing(self) -> None:
        """Notify the handler that the write buffer has space."""
        if self.handler is not None:
            self.handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Notify listener and handler that the connection is closed."""
        self._transport = None
        self._owner.on_lost(self)
        if self.handler is not None:
            self.handler.connection_lost(exc)

    # Called by the server.

    def begin(self, request: web.Request) -> None:
        """Record that the headers of a request have arrived."""
        self._request, self._headers_since = request, None
        self._window_at, self._window_bytes = self._loop.time(), 0

    def end(self) -> None:
        """Record that the response to the request was sent."""
        if self._request is not None:
            self._last_body = self._request.content
        self._request, self._waiting_since = None, self._loop.time()

    def mark_authenticated(self) -> None:
        """Stop counting the connection as unauthenticated."""
        if not self.authenticated:
            self.authenticated = True
            self._owner.on_authenticated(self)

    def set_abort_callback(self, abort: Callable[[], object]) -> None:
        """Set the function that closes a connection before it is established, as during a TLS handshake."""
        self._abort = abort

    def close(self) -> None:
        """Close the connection at once, without a response."""
        if self._closing:
            return
        self._closing = True
        if self._transport is not None:
            self._transport.abort()
        elif self._abort is not None:
            self._abort()

    @property
    def phase(self) -> Phase:
        """What the connection is waiting for now."""
        if self._request is None:
            return Phase.WAITING
        return Phase.RESPONSE if self._request.content.is_eof() else Phase.BODY

    def overdue_part(self, now: float) -> str | None:
        """Return the part that took too long, or None if no deadline has passed.

        Parts are "headers", "next request", "body" and "response". If a measuring window has ended, start the next one.
        """
        limits, request = self._owner.limits, self._request
        if self._closing:
            return None
        if request is None:
            if self._headers_since is not None:
                return "headers" if now - self._headers_since > limits.header_s else None
            return "next request" if now - self._waiting_since > IDLE_S else None
        if now - self._window_at < limits.body_s:
            return None
        arrived_bytes = self._window_bytes
        self._window_at, self._window_bytes = now, 0
        if self.phase is Phase.BODY:
            return "body" if arrived_bytes < limits.min_body_bytes and self._is_reading else None
        has_unsent_data = self._transport is not None and self._transport.get_write_buffer_size() > 0
        return "response" if has_unsent_data and not self.authenticated else None

    @property
    def _is_reading(self) -> bool:
        """Whether the worker reads from the socket. While it does not, the client is not late."""
        return self._transport is not None and self._transport.is_reading()
