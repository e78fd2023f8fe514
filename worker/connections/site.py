"""An aiohttp site with limits on its connections."""

from __future__ import annotations

import ssl
from typing import Any

from aiohttp import web

from worker.connections.limits import IDLE_S, ConnectionLimits
from worker.connections.listener import CONNECTION, Listener
from worker.supervision import Tasks

HANDLER_OPTIONS: dict[str, Any] = {"keepalive_timeout": IDLE_S}
"""Options of aiohttp's handler for every runner with such a site."""
AUTHENTICATED_READ = 256 * 1024


class LimitedSite(web.BaseSite):
    """A replacement for `web.TCPSite`."""

    __slots__ = ("_host", "_limits", "_port", "_tasks")

    def __init__(
        self,
        runner: web.AppRunner,
        host: str | None = None,
        port: int = 0,
        *,
        limits: ConnectionLimits,
        tasks: Tasks,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(runner, ssl_context=ssl_context)
        self._host, self._port, self._limits, self._tasks = host, port, limits, tasks

    @property
    def name(self) -> str:
        """URL of the site."""
        return f"http{'s' if self._ssl_context else ''}://{self._host or '*'}:{self._port}"

    async def start(self) -> None:
        """Start listening. Raises OSError or OverflowError."""
        await super().start()
        server = self._runner.server
        assert server is not None  # noqa: S101 - BaseSite.start checks it
        listener = Listener(server, self._limits, self._tasks, self._ssl_context)
        await listener.listen(self._host, self._port)
        self._server = listener  # type: ignore[assignment]  # a site uses its sockets and `close`


def mark_authenticated(request: web.BaseRequest) -> None:
    """Stop counting the connection of a request as unauthenticated: its client has shown a valid signature or token."""
    connection = request.get(CONNECTION) if isinstance(request, web.Request) else None
    if connection is not None:
        connection.mark_authenticated()
        request.content.set_read_chunk_size(AUTHENTICATED_READ)
