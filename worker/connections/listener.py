"""Accepts connections, evicts others for them, and closes those that exceed a deadline."""

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
from worker.connections.descriptors import reserve_in_use
from worker.connections.limits import ConnectionLimits
from worker.connections.table import ConnectionTable, eviction_candidate
from worker.supervision import Tasks, describe_error

log = logging.getLogger(__name__)

GRACE_S = 0.5
"""Seconds after which a connection may be evicted. Before that its request may be on the way."""
ACCEPTS_PER_TURN = 16
"""Connections that are accepted before other tasks run."""
PAUSE_S = 0.05
RELEASE_TURNS = 8
"""Turns of the event loop after which a closed connection has released its descriptor."""
HANDSHAKE_S = 10.0
REPORT_S = 60.0
BACKLOG = 1024
CONNECTION: web.RequestKey[Connection] = web.RequestKey("connection", Connection)


class Listener:
    """Listening sockets of one server, and their connections."""

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
        self._open_connections: set[Connection] = set()
        self._connection_by_handler: dict[object, Connection] = {}
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._tasks = tasks
        self._running_tasks: set[asyncio.Task[None]] = set()
        self._one_at_a_time = asyncio.Lock()
        self._accepted = 0
        self._closed_since_report = 0
        self._reported_at = -REPORT_S
        server.request_handler = self._with_connection(server.request_handler)  # type: ignore[assignment]

    async def listen(self, host: str | None, port: int) -> None:
        """Bind the sockets and start accepting. Raises OSError or OverflowError."""
        addresses = await self._loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, kind, protocol, _, address in dict.fromkeys(addresses):
                self.sockets.append(_bind(family, kind, protocol, address))
        except OSError:
            self.close()
            raise
        for listening in self.sockets:
            port = listening.getsockname()[1]
            self._running_tasks.add(self._tasks.start(f"accept {port}", partial(self._accept, listening)))
        self._running_tasks.add(self._tasks.start(f"connections {port}", self._enforce_deadlines))

    def close(self) -> None:
        """Stop accepting, and close connections without a request. aiohttp closes the others."""
        for task in self._running_tasks:
            task.cancel()
        for listening in self.sockets:
            listening.close()
        for connection in self._open_connections - set(self._connection_by_handler.values()):
            connection.close()

    # Called by connections.

    def on_handler_created(self, connection: Connection) -> None:
        """Remember the connection of an aiohttp handler."""
        self._connection_by_handler[connection.handler] = connection

    def on_authenticated(self, connection: Connection) -> None:
        """Stop counting a connection as unauthenticated."""
        self._table.discard(connection)

    def on_lost(self, connection: Connection) -> None:
        """Forget a closed connection."""
        self._table.discard(connection)
        self._open_connections.discard(connection)
        self._connection_by_handler.pop(connection.handler, None)

    def _with_connection(self, handle: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> object:
        """Return a request handler that calls `handle`, and records start and end of each request in its connection."""

        async def handle_recorded(request: web.Request) -> web.StreamResponse:
            """Record the beginning of the request, handle it, and record its end."""
            connection = self._connection_by_handler.get(request.protocol)
            if connection is None:  # the connection was lost a moment ago
                return await handle(request)
            request[CONNECTION] = connection
            connection.begin(request)
            try:
                if not connection.authenticated:
                    async with self._one_at_a_time:  # spreads a burst of requests over several turns of the event loop
                        await asyncio.sleep(0)
                return await handle(request)
            finally:
                connection.end()

        return handle_recorded

    # Accepting.

    async def _accept(self, listening: socket.socket) -> None:
        """Accept connections of one listening socket, until cancelled."""
        accepted = 0
        while True:
            try:
                sock, address = await self._loop.sock_accept(listening)
            except OSError as error:  # no descriptor is left, or the client has disconnected
                self._evict_one()
                log.warning("cannot accept a connection: %s", error)
                await asyncio.sleep(PAUSE_S)
                continue
            try:
                await self._admit(sock, str(address[0]))
            except asyncio.CancelledError:
                sock.close()
                raise
            except OSError as error:
                sock.close()
                log.debug("a connection was lost while it was accepted: %s", error)
            accepted += 1
            if accepted % ACCEPTS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _admit(self, sock: socket.socket, address: str) -> None:
        """Establish an accepted connection. Evict others for it, or close it if none can be evicted."""
        self._accepted += 1
        # Each connection of a proxy counts as another client.
        client = self.limits.client_key(address) or f"proxied {self._accepted}"
        if reserve_in_use(len(self._open_connections), sock.fileno()):
            if not self._evict_one():
                sock.close()
                return
            await self._wait_for_descriptor(sock)
        while group := self._table.eviction_group(client):
            candidate = eviction_candidate(group)
            if candidate is None:
                sock.close()
                return
            if self._loop.time() - candidate.accepted_at < GRACE_S:
                await asyncio.sleep(PAUSE_S)
            else:
                self._evict(candidate)
        connection = Connection(self, client, self._loop.time())
        self._open_connections.add(connection)
        self._table.add(connection)
        task = self._loop.create_task(self._connect(sock, connection), name="connect")
        self._running_tasks.add(task)
        task.add_done_callback(self._running_tasks.discard)
        # A task that is cancelled before its first step does not close the socket.
        task.add_done_callback(lambda done: sock.close() if done.cancelled() else None)
        connection.set_abort_callback(task.cancel)

    async def _connect(self, sock: socket.socket, connection: Connection) -> None:
        """Finish the TLS handshake, if there is TLS, and attach the socket to the connection."""
        timeout_s = HANDSHAKE_S if self._context else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, sock, ssl=self._context, ssl_handshake_timeout=timeout_s
            )
        except (OSError, asyncio.CancelledError) as error:  # also a handshake that failed or took too long
            log.debug("a connection could not be established: %s", describe_error(error))
            self.on_lost(connection)
            sock.close()

    async def _wait_for_descriptor(self, sock: socket.socket) -> None:
        """Wait a few turns until a closed connection has released its descriptor.

        Longer pauses would add up under load.
        """
        for _ in range(RELEASE_TURNS):
            await asyncio.sleep(0)
            if not reserve_in_use(len(self._open_connections), sock.fileno()):
                return

    def _evict_one(self) -> bool:
        """Close one connection to free its descriptor. Return False if none can be evicted."""
        candidate = eviction_candidate(self._table.largest_group())
        if candidate is None:
            return False
        self._evict(candidate)
        return True

    def _evict(self, connection: Connection) -> None:
        """Close a connection and count it for the log."""
        self._table.discard(connection)
        connection.close()
        self._closed_since_report += 1

    # Time limits.

    async def _enforce_deadlines(self) -> None:
        """Close connections that exceed a deadline, until cancelled."""
        pause_s = min(1.0, self.limits.header_s / 4, self.limits.body_s / 4)
        while True:
            await asyncio.sleep(pause_s)
            now = self._loop.time()
            for connection in list(self._open_connections):
                late_part = connection.overdue_part(now)
                if late_part is not None:
                    log.debug("closing a connection: the %s took too long", late_part)
                    self._evict(connection)
            self._report(now)

    def _report(self, now: float) -> None:
        """Log the number of closed connections, at most once a minute."""
        if self._closed_since_report and now - self._reported_at >= REPORT_S:
            log.info(
                "closed %d connections that missed a deadline or were evicted for new ones", self._closed_since_report
            )
            self._closed_since_report, self._reported_at = 0, now


def _bind(family: int, kind: int, protocol: int, address: object) -> socket.socket:
    """Return a socket that listens on an address. The parameters are those of `socket.getaddrinfo`. Raises OSError."""
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setblocking(False)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            with suppress(OSError):
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
        listening.bind(address)  # type: ignore[arg-type]
        listening.listen(BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
