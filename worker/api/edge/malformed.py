"""Requests that are no HTTP: one short line each in the log, and a number in place of the lines of a flood.

aiohttp logs them with a traceback and with bytes of the request, on every port of this process: anybody could fill the
disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

SERVER = logging.getLogger("aiohttp.server")
LINES, WINDOW_S = 10, 60.0
MALFORMED = (HttpProcessingError, web.RequestPayloadError, UnicodeError)

log = logging.getLogger(__name__)


class MalformedRequests(logging.Filter):
    """Rewrites aiohttp's records of malformed requests: `lines` of them in `window_s` seconds, then their number."""

    def __init__(self, lines: int = LINES, window_s: float = WINDOW_S) -> None:
        super().__init__()
        self._lines = lines
        self._window_s = window_s
        self._seen = 0
        self._window: asyncio.TimerHandle | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, MALFORMED):
            return record.levelno >= log.getEffectiveLevel()
        self._count()
        record.msg, record.args = "malformed request%s: %s", (_sender(record), type(error).__name__)
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
        return self._seen <= self._lines and log.isEnabledFor(logging.WARNING)

    def end_window(self) -> None:
        """Log how many were left out, and begin anew with the next one."""
        if self._window is not None:
            self._window.cancel()
        if (more := self._seen - self._lines) > 0:
            log.warning("malformed requests: %d more within %g s, not logged", more, self._window_s)
        self._seen, self._window = 0, None

    def _count(self) -> None:
        self._seen += 1
        if self._window is None:
            self._window = asyncio.get_running_loop().call_later(self._window_s, self.end_window)


def _sender(record: logging.LogRecord) -> str:
    """Return the address of the client, where aiohttp's record has one."""
    return f" from {record.args[0]}" if isinstance(record.args, tuple) and record.args else ""


@contextmanager
def limit_malformed_request_logs() -> Iterator[None]:
    """Log malformed requests in short until the context ends, also those that aiohttp logs for debugging only."""
    requests, level = MalformedRequests(), SERVER.level
    SERVER.addFilter(requests)
    SERVER.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        SERVER.removeFilter(requests)
        SERVER.setLevel(level)
        requests.end_window()
