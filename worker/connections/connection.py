"""One TCP connection: what it waits for, since when, and whether it has shown who it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from aiohttp import StreamReader, web

from worker.connections.limits import IDLE_S, ConnectionLimits

READ, UNPROVEN_READ = 256 * 1024, 16 * 1024
"""Bytes that are read from a socket at a time. What a stranger sends in one go has to stay small."""


class Phase(Enum):
    """What a connection does: it waits for a request, for the rest of one, or for the answer."""

    WAITING = auto()
    BODY = auto()
    ANSWER = auto()


class Owner(Protocol):
    """The parts of a listener that its connections use."""

    limits: ConnectionLimits
    buffer: memoryview
    new_handler: Callable[[], web.RequestHandler]

    def serves(self, connection: Connection) -> None: ...

    def proven(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...


class Connection(asyncio.BufferedProtocol):
    """Stands between a socket and aiohttp's handler, which is made when the first byte arrives.

    aiohttp has no time limit for headers and bodies, and a connection that sends nothing costs it a parser and a task.
    """

    def __init__(self, owner: Owner, client: str, now: float) -> None:
        """`client` is what all connections of one client have in common."""
        self.client = client
        self.since = now
        self.proven = False
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self.handler: web.RequestHandler | None = None
        self._request: web.Request | None = None
        self._rest: StreamReader | None = None
        """The body of the last request: what is not read of it when the answer is sent is read and thrown away."""
        self._waiting_since = now
        self._begun_at: float | None = now
        """Since when the headers of a request are awaited; None between two requests."""
        self._window_at = now
        self._window_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._abandon: Callable[[], object] | None = None
        self._closing = False

    # What the socket does.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a socket's is a Transport

    def get_buffer(self, sizehint: int) -> memoryview:
        discarded = self._request is None and self._rest is not None and not self._rest.is_eof()
        return self._owner.buffer[: READ if self.proven or discarded else UNPROVEN_READ]

    def buffer_updated(self, nbytes: int) -> None:
        if self.handler is None:
            self.handler = self._owner.new_handler()
            self._owner.serves(self)
            assert self._transport is not None  # noqa: S101 - data comes after connection_made
            self.handler.connection_made(self._transport)
        if self._request is None:
            self._begun_at = self._begun_at or self._loop.time()
        self._window_bytes += nbytes
        self.handler.data_received(bytes(self._owner.buffer[:nbytes]))

    def eof_received(self) -> None:
        if self.handler is not None:
            self.handler.eof_received()

    def pause_writing(self) -> None:
        if self.handler is not None:
            self.handler.pause_writing()

    def resume_writing(self) -> None:
        if self.handler is not None:
            self.handler.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._owner.lost(self)
        if self.handler is not None:
            self.handler.connection_lost(exc)

    # What the server does.

    def begin(self, request: web.Request) -> None:
        """A request's headers are here."""
        self._request, self._begun_at = request, None
        self._window_at, self._window_bytes = self._loop.time(), 0

    def end(self) -> None:
        """The request was answered."""
        if self._request is not None:
            self._rest = self._request.content
        self._request, self._waiting_since = None, self._loop.time()

    def mark_authenticated(self) -> None:
        """Count the connection no longer among those of strangers."""
        if not self.proven:
            self.proven = True
            self._owner.proven(self)

    def abandon_with(self, abandon: Callable[[], object]) -> None:
        """Remember how to close a connection that is not made yet, as during a TLS handshake."""
        self._abandon = abandon

    def close(self) -> None:
        """Close at once, without an answer: the request is not whole, or the client does not read."""
        transport, closing, self._closing = self._transport, self._closing, True
        if closing:
            return
        if transport is not None:
            transport.abort()
        elif self._abandon is not None:
            self._abandon()

    @property
    def phase(self) -> Phase:
        if self._request is None:
            return Phase.WAITING
        return Phase.ANSWER if self._request.content.is_eof() else Phase.BODY

    def overdue(self, now: float) -> str | None:
        """Return what took too long, None while all is well."""
        limits, request = self._owner.limits, self._request
        if self._closing:
            return None
        if request is None:
            if self._begun_at is not None:
                return "headers" if now - self._begun_at > limits.header_s else None
            return "next request" if now - self._waiting_since > IDLE_S else None
        if now - self._window_at < limits.body_s:
            return None
        arrived, self._window_at, self._window_bytes = self._window_bytes, now, 0
        if self.phase is Phase.BODY:
            return "body" if arrived < limits.slowest_body and self._reading else None
        stuck = not self.proven and self._transport is not None and self._transport.get_write_buffer_size() > 0
        return "answer" if stuck else None

    @property
    def _reading(self) -> bool:
        """False while the worker itself does not read: then the client is not late."""
        return self._transport is not None and self._transport.is_reading()
