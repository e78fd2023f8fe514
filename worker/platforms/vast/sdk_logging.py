"""Undoes the changes that the SDK makes to logging."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def preserve_root_logger() -> Iterator[None]:
    """Restore the level and the handlers of the root logger when the context ends.

    The SDK's `Worker()` sets the root logger and its handlers to DEBUG, or adds a handler.
    """
    root = logging.getLogger()
    root_level, handler_levels = root.level, [(handler, handler.level) for handler in root.handlers]
    try:
        yield
    finally:
        root.setLevel(root_level)
        for added_handler in set(root.handlers) - {handler for handler, _ in handler_levels}:
            root.removeHandler(added_handler)
        for handler, level in handler_levels:
            handler.setLevel(level)


def silence(loggers: Sequence[logging.Logger]) -> None:
    """Disable log lines with secrets: the access log, whose URLs have API keys, and debug messages with the token.

    `loggers` are the SDK's. Its handlers are removed, so that its messages go through the worker's own logging.
    """
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    for logger in loggers:
        logger.setLevel(logging.INFO)
    sdk = logging.getLogger("vastai")
    sdk.propagate = True
    for handler in list(sdk.handlers):
        sdk.removeHandler(handler)
