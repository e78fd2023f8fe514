"""The process's environment, read at the start and handed down; nobody else looks at it."""

from __future__ import annotations

from collections.abc import Mapping
from os import environ


def environment() -> dict[str, str]:
    return dict(environ)


def without_settings(given: Mapping[str, str]) -> dict[str, str]:
    """What a worker may inherit that has to have no settings but those it is started with."""
    return {name: value for name, value in given.items() if not name.startswith("WORKER_")}
