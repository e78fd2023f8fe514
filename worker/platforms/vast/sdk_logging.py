"""Undoes the changes that the SDK makes to logging."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def preserve_root_logger() -> Iterator[None]:
    """Restore the root logger afterwards: the SDK's `Worker()` sets it and its handlers to DEBUG, or adds a handler."""
    root = logging.getLogger()
    level, handlers = root.level, [(handler, handler.level) for handler in root.handlers]
    try:
        yield
    finally:
        root.setLevel(level)
        for handler in set(root.handlers) - {handler for handler, _ in handlers}:
            root.removeHandler(handler)
        for handler, before in handlers:
            handler.setLevel(before)


def silence(loggers: Sequence[logging.Logger]) -> None:
    """Disable the access log, because every URL has the client's API key, and the dumps of reports with the token."""
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    for logger in loggers:
        logger.setLevel(logging.INFO)
    sdk = logging.getLogger("vastai")
    sdk.propagate = True
    for handler in list(sdk.handlers):
        sdk.removeHandler(handler)
