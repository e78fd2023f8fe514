"""The process of `comfy-worker mcp`: its parts, its log and its end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from worker.mcp_server.api_source import ApiSource, start_api
from worker.mcp_server.server import ToolServer, http_session
from worker.mcp_server.transports.http_server import HttpOptions, serve_http
from worker.mcp_server.transports.stdio import serve_stdio
from worker.settings import Settings

LOG_LINE = "%(asctime)s %(levelname)-7s %(name)s %(message)s"
END_LIMIT_S = 8.0
"""Seconds after SIGTERM until the process ends in any case, as when a host no longer reads standard output."""

MOST_MESSAGE_MIB = 32
"""Largest message over HTTP. The SDK holds about five copies of a message in memory."""


@dataclass(frozen=True, slots=True)
class McpOptions:
    """The values of the command line. `token` is for the user of this machine, and not for callers over HTTP."""

    source: ApiSource
    token: str | None
    out: Path | None
    files: Path | None
    http: bool
    host: str
    port: int
    allowed_hosts: tuple[str, ...]


async def serve(options: McpOptions) -> None:
    """Serve agents until standard input closes, or SIGTERM or Ctrl-C arrives. Raises StartupError and Failure."""
    settings = Settings.from_env()
    logging.basicConfig(level=settings.log_level.upper(), format=LOG_LINE, stream=sys.stderr)
    for name in ("mcp", "uvicorn"):
        logging.getLogger(name).setLevel(logging.WARNING)  # theirs at INFO have the ids of sessions
    _end_with_signals()
    try:
        async with start_api(options.source) as api, http_session() as http:
            if options.http:
                limit = min(settings.server.max_body, MOST_MESSAGE_MIB) * 1024**2
                listen = HttpOptions(options.host, options.port, options.allowed_hosts, limit)
                await serve_http(ToolServer(api, http), listen, _print_url)
            else:
                await serve_stdio(ToolServer(api, http, options.token, options.out, options.files))
    except asyncio.CancelledError:
        pass  # by a signal
    except ExceptionGroup as group:
        raise group.exceptions[0] from None


def _end_with_signals() -> None:
    """Let SIGTERM and SIGINT cancel this task, and end the process if that takes too long."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task

    def end() -> None:
        task.cancel()
        loop.call_later(END_LIMIT_S, os._exit, 1)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)


def _print_url(url: str) -> None:
    """Print the URL to standard error, where programs that start the server expect it."""
    sys.stderr.write(f"MCP server at {url}\n")
    sys.stderr.flush()
