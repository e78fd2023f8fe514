"""The SDK's logging, kept in its place."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


@contextmanager
def preserve_root_logger() -> Iterator[None]:
    """Undo what the SDK's `Worker()` does to the root logger: level and every handler to DEBUG, a handler if none."""
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
    """No access log: Vast's client puts its API key into every URL. No dumps of reports with parts of the token."""
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    for logger in loggers:
        logger.setLevel(logging.INFO)
    sdk = logging.getLogger("vastai")
    sdk.propagate = True
    for handler in list(sdk.handlers):
        sdk.removeHandler(handler)
