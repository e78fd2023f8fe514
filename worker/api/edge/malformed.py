"""Short log lines for requests that are not valid HTTP, and a count instead of the lines of a flood.

aiohttp logs them with a traceback and bytes of the request, on every port. Any client could fill the disk that way.
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
    """Filter that shortens aiohttp's records of malformed requests.

    It passes `lines` of them in `window_s` seconds, and then logs only their number.
    """

    def __init__(self, lines: int = LINES, window_s: float = WINDOW_S) -> None:
        super().__init__()
        self._lines = lines
        self._window_s = window_s
        self._record_count = 0
        self._window: asyncio.TimerHandle | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is logged. Shorten it if a malformed request caused it."""
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, MALFORMED):  # any other record is subject to the level of this logger
            return record.levelno >= log.getEffectiveLevel()
        self._count_record()
        record.msg, record.args = "malformed request%s: %s", (_sender(record), type(error).__name__)
        record.exc_info = record.exc_text = None
        record.levelno, record.levelname = logging.WARNING, logging.getLevelName(logging.WARNING)
        return self._record_count <= self._lines and log.isEnabledFor(logging.WARNING)

    def end_window(self) -> None:
        """Log the number of suppressed records, and start again."""
        if self._window is not None:
            self._window.cancel()
        suppressed = self._record_count - self._lines
        if suppressed > 0:
            log.warning("malformed requests: %d more in %g s were not logged", suppressed, self._window_s)
        self._record_count, self._window = 0, None

    def _count_record(self) -> None:
        """Count a record, and start the window with the first one."""
        self._record_count += 1
        if self._window is None:
            self._window = asyncio.get_running_loop().call_later(self._window_s, self.end_window)


def _sender(record: logging.LogRecord) -> str:
    """Return ` from ADDRESS` with the address of the client, or an empty text if the record has no address."""
    return f" from {record.args[0]}" if isinstance(record.args, tuple) and record.args else ""


@contextmanager
def limit_malformed_request_logs() -> Iterator[None]:
    """Shorten the log of malformed requests until the context ends.

    This includes records that aiohttp logs for debugging only.
    """
    log_filter, previous_level = MalformedRequests(), SERVER.level
    SERVER.addFilter(log_filter)
    SERVER.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        SERVER.removeFilter(log_filter)
        SERVER.setLevel(previous_level)
        log_filter.end_window()
