"""Names of a worker's engines, and of the files, folders and tasks that belong to one engine."""

from __future__ import annotations

FIRST_ENGINE = "engine-0"
"""Name of the first or only engine. Names that belong to it have no number."""


def engine_name(number: int) -> str:
    """Return `engine-0`, `engine-1` and so on."""
    return f"engine-{number}"


def per_engine(thing: str, engine: str) -> str:
    """Return the name of something that each engine has: `comfyui` for the first engine, `comfyui-1` for the second."""
    return thing if engine == FIRST_ENGINE else f"{thing}{engine.removeprefix('engine')}"
