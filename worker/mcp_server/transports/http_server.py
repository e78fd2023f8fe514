"""MCP over streamable HTTP, for several callers, each with its own token of the API behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import uvicorn
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.api.auth import is_loopback
from worker.errors import CannotListen, StartupError
from worker.mcp_server.server import DISCONNECTED, ToolServer
from worker.mcp_server.transports.bearer import ApiTokenVerifier, needs_token, unavailable

PATH = "/mcp"
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")
MOST_SESSIONS = 1000
SHUTDOWN_S = 1
"""Seconds for running requests after SIGTERM. Their jobs are cancelled then."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """Where the server listens. `allowed_hosts` are further names by which clients reach it."""

    host: str
    port: int
    allowed_hosts: Sequence[str]
    max_body_bytes: int


async def serve_http(server: ToolServer, options: HttpOptions, on_listen: Callable[[str], None]) -> None:
    """Serve until this task is cancelled. `on_listen` gets the URL.

    Raises StartupError for an address at which anybody could send jobs, and CannotListen. Raises Failure when the API
    behind does not respond.
    """
    required = await needs_token(server)
    if not required and not is_loopback(options.host):
        raise StartupError(
            f"the MCP server does not listen on {options.host} without tokens, because anyone could send jobs: "
            "set WORKER_TOKENS at the worker behind --url, or use --host 127.0.0.1"
        )
    with _listening(options) as listener:
        config = uvicorn.Config(
            _application(server, options, token_required=required),
            lifespan="on",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=SHUTDOWN_S,
        )
        host = f"[{options.host}]" if ":" in options.host else options.host
        on_listen(f"http://{host}:{listener.getsockname()[1]}{PATH}")
        await _run(HttpServer(config), listener, server)


class HttpServer(uvicorn.Server):
    """uvicorn's server without its signal handlers, which would end the process by the signal."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield


async def _run(http: HttpServer, listener: socket.socket, server: ToolServer) -> None:
    """Run the HTTP server until this task is cancelled. Then end the calls, and let it send their responses."""
    running = asyncio.create_task(http.serve([listener]), name="mcp-http")
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await server.stop()
        http.should_exit = True
        await running
        raise


def _listening(options: HttpOptions) -> socket.socket:
    """Return a listening socket. Raises CannotListen."""
    try:
        family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        return socket.create_server((options.host, options.port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        raise CannotListen(options.host, options.port, error) from error


def _application(server: ToolServer, options: HttpOptions, *, token_required: bool) -> Starlette:
    """Return the ASGI application: authentication, then the checks of `Host` and `Origin`, then MCP."""
    manager = StreamableHTTPSessionManager(
        app=server.sdk_server(),
        security_settings=_allowed(options),
        max_request_body_size=options.max_body_bytes,
        max_sessions=MOST_SESSIONS,
    )
    endpoint: Any = DisconnectEvents(StreamableHTTPASGIApp(manager))
    middleware: list[Middleware] = []
    if token_required:
        endpoint = RequireAuthMiddleware(endpoint, [])
        backend = BearerAuthBackend(ApiTokenVerifier(server))
        middleware = [Middleware(AuthenticationMiddleware, backend=backend, on_error=unavailable)]
    return Starlette(routes=[Route(PATH, endpoint)], middleware=middleware, lifespan=lambda _: manager.run())


def _allowed(options: HttpOptions) -> TransportSecuritySettings:
    """Return the hosts and origins that requests may name, against DNS rebinding."""
    own = f"[{options.host}]" if ":" in options.host else options.host
    names = dict.fromkeys((*LOOPBACK_NAMES, own, *options.allowed_hosts))
    hosts = [host for name in names for host in (name, f"{name}:*")]
    origins = [f"{scheme}://{host}" for scheme in ("http", "https") for host in hosts]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=origins)


class DisconnectEvents:
    """Gives each request an event that is set when its client disconnects.

    In the protocol's older version, the SDK goes on with a call whose client has left.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        disconnected = asyncio.Event()

        async def watched() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                disconnected.set()
            return message

        await self._app({**scope, DISCONNECTED: disconnected}, watched, send)
