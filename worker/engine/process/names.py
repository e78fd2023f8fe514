"""Names of a worker's engines, and of what each has for itself."""

from __future__ import annotations

FIRST = "engine-0"
"""The first or only one. Its files, folders and tasks are named as in a worker that has one engine."""


def engine_name(number: int) -> str:
    """Return `engine-0`, `engine-1`, ..."""
    return f"engine-{number}"


def per_engine(thing: str, engine: str) -> str:
    """Return the name of a thing of which each engine has one: `comfyui` of the first, `comfyui-1` of the second."""
    return thing if engine == FIRST else f"{thing}{engine.removeprefix('engine')}"
