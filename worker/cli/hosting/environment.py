"""The environment of child processes."""

from __future__ import annotations

from collections.abc import Mapping


def without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without WORKER_ variables, for a worker that must not inherit settings."""
    return {name: value for name, value in environ.items() if not name.startswith("WORKER_")}
