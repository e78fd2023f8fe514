"""What of the environment a child process may inherit."""

from __future__ import annotations

from collections.abc import Mapping


def without_settings(given: Mapping[str, str]) -> dict[str, str]:
    """Of a worker that has to have no settings but those it is started with."""
    return {name: value for name, value in given.items() if not name.startswith("WORKER_")}
