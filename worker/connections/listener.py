"""Accepts connections, makes room for those that may be a client's, and closes those that take too long."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from aiohttp import web

from worker.connections.connection import READ, Connection
from worker.connections.descriptors import reserve_is_touched
from worker.connections.limits import ConnectionLimits
from worker.connections.table import ConnectionTable, eviction_candidate
from worker.supervision import Tasks, describe_error

log = logging.getLogger(__name__)

GRACE_S = 0.5
"""A younger connection is not closed for another one: its request may be on the way."""
AT_A_TIME = 16
"""Connections that are accepted before anything else is done."""
PAUSE_S = 0.05
TURNS = 8
"""Turns of the event loop in which a connection that is closed has left its descriptor."""
HANDSHAKE_S = 10.0
REPORT_S = 60.0
BACKLOG = 1024
CONNECTION: web.RequestKey[Connection] = web.RequestKey("connection", Connection)


class Listener:
    """The connections of one server on its sockets."""

    def __init__(
        self,
        server: web.Server,
        limits: ConnectionLimits,
        tasks: Tasks,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.limits = limits
        self.buffer = memoryview(bytearray(READ))
        self.new_handler: Callable[[], web.RequestHandler] = server
        self.sockets: list[socket.socket] = []
        self._table = ConnectionTable(limits)
        self._open: set[Connection] = set()
        self._by_handler: dict[object, Connection] = {}
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._tasks = tasks
        self._running: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()
        self._numbers = 0
        self._closed = 0
        self._reported_at = -REPORT_S
        server.request_handler = self._observed(server.request_handler)  # type: ignore[assignment]

    async def listen(self, host: str | None, port: int) -> None:
        """Raises OSError and OverflowError."""
        found = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, kind, protocol, _, address in dict.fromkeys(found):
                self.sockets.append(_bound(family, kind, protocol, address))
        except OSError:
            self.close()
            raise
        for each in self.sockets:
            port = each.getsockname()[1]
            self._running.add(self._tasks.start(f"accept {port}", partial(self._accept, each)))
        self._running.add(self._tasks.start(f"connections {port}", self._watch))

    def close(self) -> None:
        """Accept no more. Connections without a request are closed; aiohttp closes the others."""
        for task in self._running:
            task.cancel()
        for each in self.sockets:
            each.close()
        for connection in self._open - set(self._by_handler.values()):
            connection.close()

    # What connections report.

    def serves(self, connection: Connection) -> None:
        self._by_handler[connection.handler] = connection

    def proven(self, connection: Connection) -> None:
        self._table.discard(connection)

    def lost(self, connection: Connection) -> None:
        self._table.discard(connection)
        self._open.discard(connection)
        self._by_handler.pop(connection.handler, None)

    def _observed(self, handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> object:
        """Return the server's handler of requests, of which connections know when a request begins and ends."""

        async def observed(request: web.Request) -> web.StreamResponse:
            connection = self._by_handler.get(request.protocol)
            if connection is None:  # it was lost a moment ago
                return await handle(request)
            request[CONNECTION] = connection
            connection.begin(request)
            try:
                if not connection.proven:
                    async with self._turn:  # a burst of requests is spread over as many turns of the event loop
                        await asyncio.sleep(0)
                return await handle(request)
            finally:
                connection.end()

        return observed

    # Accepting.

    async def _accept(self, listening: socket.socket) -> None:
        accepted = 0
        while True:
            try:
                sock, address = await self._loop.sock_accept(listening)
            except OSError as error:  # no descriptor is left, or the client was gone already
                self._spare()
                log.warning("a connection can't be accepted: %s", error)
                await asyncio.sleep(PAUSE_S)
                continue
            try:
                await self._take(sock, str(address[0]))
            except asyncio.CancelledError:
                sock.close()
                raise
            except OSError as error:
                sock.close()
                log.debug("a connection was lost at once: %s", error)
            accepted += 1
            if accepted % AT_A_TIME == 0:
                await asyncio.sleep(0)

    async def _take(self, sock: socket.socket, address: str) -> None:
        self._numbers += 1
        client = self.limits.client_of(address) or f"proxied {self._numbers}"
        if reserve_is_touched(len(self._open), sock.fileno()):
            if not self._spare():
                sock.close()
                return
            await self._freed(sock)
        while crowd := self._table.crowd(client):
            if (spare := eviction_candidate(crowd)) is None:
                sock.close()
                return
            if self._loop.time() - spare.since < GRACE_S:
                await asyncio.sleep(PAUSE_S)
            else:
                self._dismiss(spare)
        connection = Connection(self, client, self._loop.time())
        self._open.add(connection)
        self._table.add(connection)
        task = self._loop.create_task(self._connect(sock, connection), name="connect")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # A task that is cancelled before its first step closes nothing.
        task.add_done_callback(lambda done: sock.close() if done.cancelled() else None)
        connection.abandon_with(task.cancel)

    async def _connect(self, sock: socket.socket, connection: Connection) -> None:
        timeout_s = HANDSHAKE_S if self._context else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, sock, ssl=self._context, ssl_handshake_timeout=timeout_s
            )
        except (OSError, asyncio.CancelledError) as error:  # also a handshake that failed or took too long
            log.debug("no connection: %s", describe_error(error))
            self.lost(connection)
            sock.close()

    async def _freed(self, sock: socket.socket) -> None:
        """Wait until the descriptor of a closed connection is free: a few turns. Pauses would add up in a crowd."""
        for _ in range(TURNS):
            await asyncio.sleep(0)
            if not reserve_is_touched(len(self._open), sock.fileno()):
                return

    def _spare(self) -> bool:
        """Close a connection to have its descriptor. Return False where there is none to spare."""
        spare = eviction_candidate(self._table.largest())
        if spare is None:
            return False
        self._dismiss(spare)
        return True

    def _dismiss(self, connection: Connection) -> None:
        self._table.discard(connection)
        connection.close()
        self._closed += 1

    # Time limits.

    async def _watch(self) -> None:
        pause_s = min(1.0, self.limits.header_s / 4, self.limits.body_s / 4)
        while True:
            await asyncio.sleep(pause_s)
            now = self._loop.time()
            for connection in list(self._open):
                if (what := connection.overdue(now)) is not None:
                    log.debug("a connection is closed: its %s took too long", what)
                    self._dismiss(connection)
            self._report(now)

    def _report(self, now: float) -> None:
        if self._closed and now - self._reported_at >= REPORT_S:
            log.info("%d connections were closed that sent no request in time, or for others", self._closed)
            self._closed, self._reported_at = 0, now


def _bound(family: int, kind: int, protocol: int, address: object) -> socket.socket:
    found = socket.socket(family, kind, protocol)
    try:
        found.setblocking(False)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind(address)  # type: ignore[arg-type]
        found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    return found
